"""Errors as `application/problem+json` (RFC 9457). Each kind has a `type` that never changes.

An error without a kind of its own is answered as the nearest class above it that has one. Only what no class of
`alert_history.errors` stands above is a fault of ours, and 500.
"""

from typing import Any, NamedTuple

import msgspec

from alert_history import errors

CONTENT_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """How one class of errors is answered. Unless `is_for_callers`, its message stays in the log."""

    status: int
    name: str
    title: str
    is_for_callers: bool = True


_KINDS: dict[type[BaseException], Kind] = {
    errors.InvalidRequest: Kind(400, "invalid-request", "The request must be changed"),
    errors.MalformedPayload: Kind(400, "malformed-payload", "The body can't be read"),
    errors.UnstorableReceipt: Kind(400, "unstorable", "The database refuses this data"),
    errors.WrongSignature: Kind(401, "wrong-signature", "The signature is not that of our secret"),
    errors.StaleSignature: Kind(401, "stale-signature", "It was signed too long ago"),
    errors.NotSignedIn: Kind(401, "not-signed-in", "Say who you are, with a token"),
    errors.Forbidden: Kind(403, "forbidden", "You may not do this"),
    errors.CrossSite: Kind(403, "cross-site", "Another site may not ask for this"),
    errors.WrongHost: Kind(421, "wrong-host", "The service is not called so"),
    errors.InvalidQuery: Kind(400, "invalid-query", "The query can't be read"),
    errors.InvalidBody: Kind(422, "invalid-body", "The body says something that is not allowed"),
    errors.InvalidConfiguration: Kind(422, "invalid-configuration", "The configuration of Alertmanager can't be read"),
    errors.NotFound: Kind(404, "not-found", "There is no such thing"),
    errors.PayloadTooLarge: Kind(413, "payload-too-large", "The request is too large"),
    errors.UnsupportedMedia: Kind(415, "unsupported-media-type", "This content type is not read here"),
    errors.Unavailable: Kind(503, "unavailable", "It can't be done now; try again"),
    errors.SettingLacking: Kind(503, "setting-lacking", "The operator must set something first; try again"),
    errors.Overloaded: Kind(503, "overloaded", "Too much at once; try again"),
    errors.SlowBody: Kind(503, "slow-body", "The body took too long; try again"),
    errors.StorageUnavailable: Kind(503, "storage-unavailable", "It can't be kept or read now; try again"),
    errors.QueryTimeout: Kind(503, "query-timeout", "The query took too long"),
    errors.NoRoom: Kind(507, "no-room", "The service has no room for it"),
    errors.DeliveryError: Kind(502, "not-delivered", "The other side did not take it"),
    errors.Rejected: Kind(502, "no-classification", "The model gave no sensible answer"),
    errors.Retryable: Kind(503, "classification-unavailable", "The model can't be asked now; try again"),
    errors.NotInstalled: Kind(501, "not-installed", "The operator must install a part of the service first"),
    errors.AlertHistoryError: Kind(
        503, "needs-operator", "The operator must mend something first; the log says what", is_for_callers=False
    ),
}
_RETRY_SECONDS = 5
_INTERNAL = Kind(500, "internal", "A fault of ours; it is in the log under this request's id", is_for_callers=False)


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an error. `type` is stable, `detail` says what was wrong with this very request.

    Of a query that can't be read, `character` is where in it the fault is, from 1 on.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[dict[str, Any]] = []
    character: int = 0


def problem_of(error: Exception, *, request_id: str = "") -> Problem:
    """What to answer. An unexpected error shows nothing of itself."""
    kind = kind_of(type(error))
    detail = str(error) if kind.is_for_callers else kind.title
    answer = problem(kind.name, title=kind.title, status=kind.status, detail=detail, request_id=request_id)
    at = error.at if isinstance(error, errors.InvalidQuery) else None
    return answer if at is None else msgspec.structs.replace(answer, character=at + 1)


def kind_of(error: type[BaseException]) -> Kind:
    """The kind of the class itself, or of the nearest class above it."""
    return next((_KINDS[ancestor] for ancestor in error.__mro__ if ancestor in _KINDS), _INTERNAL)


def problem(name: str, *, title: str, status: int, detail: str, request_id: str = "") -> Problem:
    """A problem by the last part of its type."""
    return Problem(f"urn:alert-history:problem:{name}", title, status, detail, request_id)


def retry_after(error: Exception) -> int | None:
    """The seconds of `Retry-After`, for errors that pass."""
    if isinstance(error, errors.Retryable):
        return max(round(error.after_seconds or _RETRY_SECONDS), 1)
    return error.after_seconds if isinstance(error, errors.Unavailable) else None
