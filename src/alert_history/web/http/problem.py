"""Errors as `application/problem+json` (RFC 9457). Each kind has a `type` that never changes."""

from typing import Any

import msgspec

from alert_history import errors

CONTENT_TYPE = "application/problem+json"

_KINDS: dict[type[Exception], tuple[int, str, str]] = {
    errors.MalformedPayload: (400, "malformed-payload", "The body can't be read"),
    errors.UnstorableReceipt: (400, "unstorable", "The database refuses this data"),
    errors.CrossSite: (403, "cross-site", "Another site may not ask for this"),
    errors.InvalidQuery: (400, "invalid-query", "The query can't be read"),
    errors.InvalidBody: (422, "invalid-body", "The body says something that is not allowed"),
    errors.Rejected: (502, "no-classification", "The model gave no sensible answer"),
    errors.Retryable: (503, "classification-unavailable", "The model can't be asked now; try again"),
    errors.NotFound: (404, "not-found", "There is no such thing"),
    errors.PayloadTooLarge: (413, "payload-too-large", "The request is too large"),
    errors.UnsupportedMedia: (415, "unsupported-media-type", "This content type is not read here"),
    errors.Overloaded: (503, "overloaded", "Too much at once; try again"),
    errors.SlowBody: (503, "slow-body", "The body took too long; try again"),
    errors.StorageUnavailable: (503, "storage-unavailable", "It can't be kept or read now; try again"),
    errors.QueryTimeout: (503, "query-timeout", "The query took too long"),
}
_RETRY_SECONDS = 5
_INTERNAL = (500, "internal", "A fault of ours; it is in the log under this request's id")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an error. `type` is stable, `detail` says what was wrong with this very request."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[dict[str, Any]] = []


def problem_of(error: Exception, *, request_id: str = "") -> Problem:
    """What to answer. An unexpected error shows nothing of itself."""
    status, name, title = _KINDS.get(type(error), _INTERNAL)
    detail = str(error) if type(error) in _KINDS else title
    return problem(name, title=title, status=status, detail=detail, request_id=request_id)


def problem(name: str, *, title: str, status: int, detail: str, request_id: str = "") -> Problem:
    """A problem by the last part of its type."""
    return Problem(f"urn:alert-history:problem:{name}", title, status, detail, request_id)


def retry_after(error: Exception) -> int | None:
    """The seconds of `Retry-After`, for errors that pass."""
    if isinstance(error, errors.Retryable):
        return max(round(error.after_seconds or _RETRY_SECONDS), 1)
    return error.after_seconds if isinstance(error, errors.Unavailable) else None
