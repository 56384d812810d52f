"""Errors as AWS words them: HTTP status, usual message, and the form that each protocol gives them."""

import json
import uuid
from xml.sax.saxutils import escape

from local_ec2.front.call import Call

# What EC2 answers otherwise than with 400. Clients retry a 5xx by themselves: the difference is one of behaviour.
STATUS = {
    "AuthFailure": 401,
    "OptInRequired": 401,
    "UnauthorizedOperation": 403,
    "AccessDenied": 403,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "DryRunOperation": 412,
    "InsufficientAddressCapacity": 500,
    "InsufficientCapacity": 500,
    "InsufficientHostCapacity": 500,
    "InsufficientInstanceCapacity": 500,
    "InsufficientVolumeCapacity": 500,
    "UnfulfillableCapacity": 500,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServiceException": 500,
    "ServiceException": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
}
MESSAGES = {
    "AuthFailure": "AWS was not able to validate the provided access credentials",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    "InvalidClientTokenId": "The security token included in the request is invalid.",
    "RequestExpired": "Request has expired.",
    "ExpiredToken": "The security token included in the request is expired",
    "ExpiredTokenException": "The security token included in the request is expired",
    "RequestLimitExceeded": "Request limit exceeded.",
    "Throttling": "Rate exceeded",
    "ThrottlingException": "Rate exceeded",
    "InternalError": "An internal error has occurred",
    "Unavailable": "The service is unavailable. Please try again shortly.",
    "ServiceUnavailable": "The request has failed due to a temporary failure of the server.",
    "InsufficientInstanceCapacity": "We currently do not have sufficient {InstanceType} capacity in the Availability"
    " Zone you requested ({AvailabilityZone}). Our system will be working on provisioning additional capacity.",
    "UnfulfillableCapacity": "Unable to fulfill capacity due to your request configuration. Please adjust your request"
    " and try again.",
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the"
    " instance bucket that the specified instance type belongs to. Please visit"
    " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "InstanceLimitExceeded": "Your quota allows for 0 more running instance(s). You requested at least 1",
    "SpotMaxPriceTooLow": "Your Spot request price of 0.0001 is lower than the minimum required Spot request"
    " fulfillment price.",
    "UnauthorizedOperation": "You are not authorized to perform this operation. User:"
    " arn:aws:iam::123456789012:user/local is not authorized to perform: {name} on resource: * because no"
    " identity-based policy allows the {name} action. Encoded authorization failure message: {encoded}",
    "AccessDenied": "User: arn:aws:iam::123456789012:user/local is not authorized to perform: {name} on resource: *"
    " because no identity-based policy allows the {name} action",
    "AccessDeniedException": "User: arn:aws:iam::123456789012:user/local is not authorized to perform: {name} on"
    " resource: * because no identity-based policy allows the {name} action",
}


def status_of(code: str) -> int:
    return STATUS.get(code, 400)


def body(call: Call, code: str, message: str) -> tuple[str, bytes]:
    """Content type and body of an error, in the form of the protocol that the call came by."""
    request = str(uuid.uuid4())
    if call.json:
        return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    code, message = escape(code), escape(message)
    if call.service == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request}</RequestID></Response>"
        )
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    return "text/xml;charset=UTF-8", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
