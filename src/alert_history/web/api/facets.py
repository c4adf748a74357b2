"""The facets of the statistics: the most frequent values of labels. Holds parameters; `engine.facets` counts."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.engine.facets import DEFAULT_LABELS, FacetCounting, Facets
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Top, Until, Zone, asked_of
from alert_history.web.http.operation import Operation

_MOST_LABELS = 20
_BY = (
    "Labels, also `receiver` and `source`: separated by commas, or the parameter once for each. Without it: "
    + ", ".join(f"`{label}`" for label in DEFAULT_LABELS)
)


class FacetParameters(msgspec.Struct, frozen=True):
    """What facets take. `tz` changes nothing here; all statistics take it."""

    REPEATS: ClassVar = frozenset({"by"})

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    by: Annotated[tuple[str, ...], Meta(description=_BY)] = ()
    top: Top = 10


class FacetsApi:
    """The handler."""

    def __init__(self, counting: FacetCounting, *, clock: Clock) -> None:
        self._counting = counting
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/facets",
                summary="Which values of labels alerts have most often",
                handle=self.facets,
                answer=Facets,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=FacetParameters,
                failures=FAILURES,
                description="The values of each label with how many occurrences began, and all other values together: "
                "they add up to the total.",
            )
        ]

    async def facets(self, _: Request, asked: FacetParameters) -> Facets:
        """`GET /api/v1/stats/facets`."""
        labels = _labels(asked.by) or DEFAULT_LABELS
        span = asked_of(asked, self._clock())
        return await self._counting.facets(span, labels, top=asked.top, is_compared=asked.compare is not None)


def _labels(by: tuple[str, ...]) -> list[str]:
    """Each label once, in order. Raises InvalidQuery where they are too many."""
    labels = list(dict.fromkeys(label.strip() for text in by for label in text.split(",") if label.strip()))
    if len(labels) > _MOST_LABELS:
        raise InvalidQuery(f"by: {len(labels)} labels are too many, {_MOST_LABELS} are the most")
    return labels
