"""Labels over HTTP: their names and values, with counts, for whoever completes a query."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.engine.labels import MOST_READ, LabelNames, Labels, LabelValues
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "History"
_QUERY = f"Only values that occur with what it matches: among the newest {MOST_READ:,} such occurrences"


class LabelValuesParameters(msgspec.Struct, frozen=True):
    """Which values of which label."""

    name: Annotated[str, Meta(description="The name of the label, percent-encoded; it may hold slashes")]
    prefix: Annotated[str, Meta(description="What the values begin with")] = ""
    query: Annotated[str, Meta(description=_QUERY)] = ""
    limit: Limit = 100


class LabelsApi:
    """The handlers, on the labels of the history."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/labels",
                summary="Names of labels, with counts",
                handle=self.names,
                answer=LabelNames,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                failures=(503,),
                description="All labels of all history, those of the most occurrences first. Receivers and sources are "
                "no labels.",
            ),
            Operation(
                path="/api/v1/labels/{name}/values",
                summary="Values of a label, with counts",
                handle=self.values,
                answer=LabelValues,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=LabelValuesParameters,
                failures=(400, 503),
                may_hold_slashes="name",
                description="The most frequent first. Without a query all history is counted. A label that nothing has "
                "has no values.",
            ),
        ]

    async def names(self, _: Request, _parameters: None) -> LabelNames:
        """`GET /api/v1/labels`."""
        return await self._labels.names()

    async def values(self, _: Request, asked: LabelValuesParameters) -> LabelValues:
        """`GET /api/v1/labels/{name}/values`."""
        return await self._labels.values(asked.name, prefix=asked.prefix, query=asked.query, limit=asked.limit)
