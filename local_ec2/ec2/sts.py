"""DecodeAuthorizationMessage, which moto lacks."""

import base64
import binascii
from typing import Any

from moto.core.responses import ActionResult
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse


def decode(message: str) -> str:
    """What an encoded authorization message says. Raises ValueError if it is none of ours."""
    padded = message + "=" * (-len(message) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True).decode()


def install() -> None:
    def decode_authorization_message(response: Any) -> ActionResult:
        try:
            return ActionResult({"DecodedMessage": decode(response._get_param("EncodedMessage"))})
        except (binascii.Error, ValueError):
            raise STSClientError(
                "InvalidAuthorizationMessageException", "The error returned is not valid for decoding."
            ) from None

    TokenResponse.decode_authorization_message = decode_authorization_message
