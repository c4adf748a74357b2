"""Errors, named by what the caller may do. A test holds this drawing whole and its numbers, the HTTP statuses, true.

AlertHistoryError            what this service raises on purpose                     503
├── InvalidRequest           the caller must change what it sends                    400
│   ├── MalformedPayload     the body is not what any source sends                   400
│   ├── PayloadTooLarge      over MAX_BODY_BYTES or MAX_ALERTS_PER_REQUEST           413
│   ├── UnsupportedMedia     content type or encoding                                415
│   ├── WrongSignature       a webhook is not signed with our secret                 401
│   │   └── StaleSignature   its time is too far from ours: it may be sent again     401
│   ├── NotSignedIn          the caller must say who they are                    401
│   │   └── SignInRefused    what a provider said of a person can't be believed  401
│   ├── Forbidden            who they are may not do this                        403
│   ├── CrossSite            a browser sends it for a page of another site           403
│   ├── WrongHost            the service is asked under a name that is not its own   421
│   ├── InvalidQuery         a query, time or cursor that can't be read              400
│   ├── InvalidBody          a body of the API says what is not allowed              422
│   ├── InvalidConfiguration what is to configure an Alertmanager can't be read      422
│   ├── NotFound             no such thing                                           404
│   ├── UnstorableReceipt    the database refuses the data itself                    400
│   ├── ImportFault          what is to be imported can't be read                    400
│   └── WouldBeForgotten     what is to be brought back is past its retention        400
├── Unavailable              the same call may work later (Retry-After)              503
│   ├── Overloaded           the ingest queue is full                                503
│   ├── SlowBody             the body of a request did not arrive in time            503
│   ├── StorageUnavailable   the database can't be reached or can't commit           503
│   ├── QueryTimeout         a read took longer than it may                          503
│   ├── SettingLacking       a setting that the call needs is not set                503
│   ├── ProviderUnavailable  the identity provider gives no whole answer             503
│   ├── OriginUnavailable    who was asked what fires is down, or answers in part    503
│   │   └── Refused          origins/imports: it won't answer this question          503
│   │       └── NotThere     origins/imports: it answers, and has no such thing      503
│   ├── NoRoom               the disk has no room for what was sent                  507
│   └── Busy                 somebody else is at the same work                       503
├── DeliveryError            a target or a model did not take a message              502
│   ├── Retryable            it may take the same message later (Retry-After)        503
│   └── Rejected             it will never take this message                         502
│       ├── ForbiddenAddress targets/guard: the address must not be called           502
│       ├── NotAsked         enrichers/answer: the answer is in no form asked for    502
│       └── _WrongForm       enrichers/proxy: the request is refused for its form    502
├── ArchiveFault             the archive, or its place, must be mended first         503
├── ConfigurationError       the operator must change the environment; all faults    503
├── NotInstalled             a part of the service that is an extra is not there     501
├── NoCluster                discovery/cluster: there is no Kubernetes here          503
├── NoAnswer                 discovery/kubernetes: the API server gave none          503
└── Expired                  discovery/kubernetes: list anew before watching on      503

What a package raises and catches itself; no caller outside of it sees one:

Exception
├── UrlFault                 urls: what is wrong with a URL, which becomes a ConfigurationError
├── _FlapFault               config: what is wrong with a setting of flapping, which becomes a ConfigurationError
├── _RoleFault               config: what is wrong with the roles of people, which becomes a ConfigurationError
├── Fault                    sources: why one alert goes to quarantine
├── _Surprise                storage: a batch is not as foreseen, and goes the long way
├── _Lost                    storage/sqlite: the process that writes ended before it answered
├── _Late                    storage/shared: another replica has added up some of these changes
├── _NotOurTurn              storage/shared: another replica adds up, or a process counts anew
├── Failure                  cli/send: why a payload was not taken
├── _Disconnected            web/ingest: the sender went away
├── BadAlert                 origins/imports: why an alert of Opsgenie can't be read
├── BadState                 origins/imports: why a state of Grafana can't be read
├── RowFault                 origins/imports: why a row of a file can't be read
├── TemplateFault            origins/imports: why an annotation of a past alert can't be rendered
├── _Over                    origins/imports: there is nothing more to read ahead
├── _AskAgain                origins/imports: the same question may be answered later
├── _InPart                  origins/prometheus: it answered in part
└── _TooMuch                 discovery/routes_document: the document unfolds to too much
"""


class AlertHistoryError(Exception):
    """Everything this service raises on purpose."""


class InvalidRequest(AlertHistoryError):
    """The caller must change what it sends. The message says what is wrong."""


class MalformedPayload(InvalidRequest):
    """The body is not what any source sends; nothing of it was kept."""


class PayloadTooLarge(InvalidRequest):
    """More bytes or more alerts than one request may hold."""


class UnsupportedMedia(InvalidRequest):
    """A content type or content encoding that ingest does not read."""


class WrongSignature(InvalidRequest):
    """A webhook that is not signed, or not with a secret of ours; nothing of it was kept."""


class StaleSignature(WrongSignature):
    """A webhook that was signed too long ago, or by a clock that is far from ours; nothing of it was kept."""


class NotSignedIn(InvalidRequest):
    """Nobody knows who calls: there is no token, or it is none of ours, or it has ended."""


class SignInRefused(NotSignedIn):
    """What an identity provider said of a person can't be believed, or is not what was asked. The message says what."""


class Forbidden(InvalidRequest):
    """Whoever calls may not do this, or may not see all that it shows."""


class CrossSite(InvalidRequest):
    """A browser sends it for a page of another site."""


class WrongHost(InvalidRequest):
    """The service is asked under a name that is not its own. The message says what to set."""


class InvalidQuery(InvalidRequest):
    """A query, time, sort or cursor that can't be read.

    Of a query, `at` is the place of the very character, from 0, and `reason` what is wrong there.
    """

    def __init__(self, message: str, *, at: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.reason = reason or message


class InvalidBody(InvalidRequest):
    """A body of the API that is JSON but says something that is not allowed."""


class InvalidConfiguration(InvalidRequest):
    """A text that is no configuration of an Alertmanager. `faults` says what is wrong and where, a line each."""

    def __init__(self, message: str, *, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class NotFound(InvalidRequest):
    """No such occurrence."""


class UnstorableReceipt(InvalidRequest):
    """The database refused the data of a batch; one request of it is to blame."""


class ImportFault(InvalidRequest):
    """What is to be imported can't be read as a whole. The message names the file, and the row or the byte."""


class WouldBeForgotten(InvalidRequest):
    """What is to be brought back is older than history is kept; it would be gone within a minute."""


class Unavailable(AlertHistoryError):
    """The same call may work after `after_seconds`."""

    def __init__(self, message: str, *, after_seconds: int = 1) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Overloaded(Unavailable):
    """The ingest queue is full."""


class SlowBody(Unavailable):
    """The body of a request did not arrive in time; nothing of it was kept."""


class StorageUnavailable(Unavailable):
    """The database can't be reached, is behind its schema, or could not commit."""


class QueryTimeout(Unavailable):
    """A read took longer than it may; a narrower time range is likely to work."""


class SettingLacking(Unavailable):
    """The call needs a setting that is not set. The message names it. A caller that comes again later finds it set."""


class OriginUnavailable(Unavailable):
    """An Alertmanager or Prometheus that was asked gave no whole answer. The message says why and holds no secret."""


class ProviderUnavailable(Unavailable):
    """The identity provider gave no whole answer. The message says why and holds no secret; tokens go on working."""


class NoRoom(Unavailable):
    """The disk has no room for what was sent; nothing of it was kept."""


class Busy(Unavailable):
    """Somebody else is at the same work, which only one may do at a time."""


class ArchiveFault(AlertHistoryError):
    """An archive can't be read or written, or a file of it is damaged. The message says which, and what to do."""


class DeliveryError(AlertHistoryError):
    """A target did not take a message. The message says why and holds no secret."""


class Retryable(DeliveryError):
    """It may take the same message later, not before `after_seconds` if it said so."""

    def __init__(self, reason: str, *, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Rejected(DeliveryError):
    """It will never take this message. `is_gone`: it wants no message at all any more (410, or in its own words)."""

    def __init__(self, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


class ConfigurationError(AlertHistoryError):
    """The environment is wrong. `faults` holds one line for each, with the variable's name."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class NotInstalled(AlertHistoryError):
    """A part of the service comes with an extra that is not installed. The message says how to install it."""
