# MIT licence
"""What an error of EC2's API means: whether to walk on, wait or stop, and the sentence a person needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

try:
    import botocore.exceptions as botocore
except ImportError:  # AnsibleAWSModule says so, in its own words.
    botocore = None

# kind -> codes. Of what is not named here nothing is assumed: it stops the run with EC2's own words.
KINDS = {
    # The next zone, type or market may have what this one lacks.
    "capacity": {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "UnfulfillableCapacity",
        "ReservationCapacityExceeded",
    },
    "unsupported": {"Unsupported", "UnsupportedOperation"},
    "addresses": {"InsufficientFreeAddressesInSubnet"},
    "price": {"SpotMaxPriceTooLow"},
    # Another zone changes nothing here.
    "quota": {
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "VolumeLimitExceeded",
        "MaxIOPSLimitExceeded",
    },
    "permission": {
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "OptInRequired",
        "PendingVerification",
    },
    "expired": {"ExpiredToken", "ExpiredTokenException", "RequestExpired"},
    "credentials": {
        "AuthFailure",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "Blocked",
    },
    "clock": {"RequestTimeTooSkewed"},
    # A spot machine that EC2 itself has stopped, or whose request does not know yet that its user has.
    "spot-request": {"IncorrectSpotRequestState"},
    # Worth another try after a pause.
    "throttle": {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "EC2ThrottledException",
        "TooManyRequestsException",
    },
    "hiccup": {"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "500", "502", "503", "504"},
    # Made a moment ago, and not yet known everywhere.
    "not-yet": {
        "InvalidInstanceID.NotFound",
        "InvalidGroup.NotFound",
        "InvalidKeyPair.NotFound",
        "InvalidSpotInstanceRequestID.NotFound",
    },
}
KIND_OF = {code: kind for kind, codes in KINDS.items() for code in codes}
CLOCK_TOLERANCE = 240


def code_of(error: Exception) -> str:
    """EC2's code for an error, or the class of what went wrong before EC2 could answer."""
    if botocore and isinstance(error, botocore.ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def kind_of(error: Exception) -> str:
    """The kind of an error: a key of KINDS, `lost` when no answer came, `other` for the rest."""
    if botocore and isinstance(error, (botocore.ConnectionError, botocore.HTTPClientError)):
        # Names that do not resolve and ports that refuse will not do otherwise in a second.
        return (
            "unreachable"
            if isinstance(error, (botocore.EndpointConnectionError, botocore.ProxyConnectionError))
            else "lost"
        )
    if botocore and isinstance(error, (botocore.NoCredentialsError, botocore.PartialCredentialsError)):
        return "no-credentials"
    if botocore and isinstance(
        error, (botocore.TokenRetrievalError, botocore.UnauthorizedSSOTokenError, botocore.CredentialRetrievalError)
    ):
        return "expired"
    return KIND_OF.get(code_of(error), "other")


def words_of(error: Exception) -> str:
    """EC2's own words, without what only a program can read."""
    if botocore and isinstance(error, botocore.ClientError):
        words = str(error.response.get("Error", {}).get("Message", error))
    else:
        words = str(error)
    return re.split(r"\s*Encoded authorization failure message:", words)[0].strip().rstrip(".")


def clock_error(error: Exception) -> int:
    """By how many seconds this computer's clock is ahead, as the server's answer shows; 0 when that is unknown."""
    headers = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return 0
    return round((datetime.now(UTC) - theirs).total_seconds())


def denied_action(error: Exception, decode: Callable[[str], dict[str, Any]] | None = None) -> str:
    """The action that a permission is missing for, like ec2:RunInstances.

    decode: sts:DecodeAuthorizationMessage, for an answer that hides the action; it may be forbidden in its turn.
    """
    words = str(error)
    said = re.search(r"perform(?:ing)?:? (?:the )?([a-z0-9-]+:[A-Za-z]+)", words)
    if said:
        return said[1]
    hidden = re.search(r"Encoded authorization failure message: (\S+)", words)
    if hidden and decode:
        try:
            action = decode(hidden[1]).get("context", {}).get("action")
            if action:
                return str(action)
        except Exception:
            pass
    return f"ec2:{getattr(error, 'operation_name', '') or 'this call'}"


def sentence(
    error: Exception, region: str, decode: Callable[[str], dict[str, Any]] | None = None, doing: str = ""
) -> str:
    """What went wrong, why, and what to do next."""
    kind, words = kind_of(error), words_of(error)
    off = clock_error(error)
    if kind == "clock" or (kind in ("expired", "credentials") and abs(off) > CLOCK_TOLERANCE):
        which = "ahead" if off > 0 else "behind"
        return (
            f"AWS refuses the request because this computer's clock is {abs(off)} s {which}: set it right "
            "(timedatectl set-ntp true), then run this again."
        )
    if kind == "no-credentials":
        return (
            "No AWS credentials were found: run `aws configure`, name a profile in aws_profile, or set "
            "AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, then run this again."
        )
    if kind == "expired":
        return (
            f"The AWS credentials have expired ({code_of(error)}): sign in again (`aws sso login`, or a new "
            "session token), "
            "then run this again; what is there already is kept."
        )
    if kind == "credentials":
        return (
            f"AWS does not accept these credentials in {region} ({code_of(error)}: {words}): they are wrong, "
            "deactivated, or "
            "of another partition. Check them with `aws sts get-caller-identity`."
        )
    if code_of(error) in ("OptInRequired", "PendingVerification"):
        return (
            f"AWS has not opened this account for that yet ({code_of(error)}: {words}): see to it in the AWS console."
        )
    if kind == "permission":
        action = denied_action(error, decode)
        return (
            f"These credentials may not do {action} in {region}: whoever administers the account can allow it, and the "
            "policies in docs/iam name all that is needed. Nothing more was tried."
        )
    if kind in ("unreachable", "lost"):
        return (
            f"EC2 in {region} does not answer ({words}): is this computer online, and does HTTPS_PROXY name your "
            "proxy if it "
            "needs one? Run this again when it does; what is there already is kept."
        )
    return f"EC2 refused{' ' + doing if doing else ''} ({code_of(error)}): {words}."
