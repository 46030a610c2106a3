"""How a request fails: TensorFlow Serving's status codes, by gRPC's names, and what HTTP makes of them."""

from __future__ import annotations

from grpc import StatusCode

# `http_server.cc` of tensorflow/serving, but for RESOURCE_EXHAUSTED: there a full queue is UNAVAILABLE, which is 503.
HTTP_STATUS = {
    StatusCode.OK: 200,
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 503,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
# What a client makes of a status; 503 is the one by which both APIs say that it is worth to try again.
BY_HTTP_STATUS = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    413: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
MOST_MESSAGE = 1000  # characters
BY_NUMBER = {code.value[0]: code for code in StatusCode}


class ServingError(Exception):
    """A request that is refused or fails; the message goes to the client and to no log, for it may quote a text.

    Args:
        code: as TensorFlow Serving has it.
        message: one line.
        http_status: where HTTP has a closer word than the code's own; None: that of the code.
    """

    def __init__(self, code: StatusCode, message: str, http_status: int | None = None):
        # A name that a client made up may be as long as a request.
        message = message if len(message) <= MOST_MESSAGE else f"{message[:MOST_MESSAGE]}..."
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status or HTTP_STATUS[code]


def invalid(message: str) -> ServingError:
    """What the request says is wrong (HTTP 400)."""
    return ServingError(StatusCode.INVALID_ARGUMENT, message)
