"""Where an alert comes from: whether its labels speak of a place in which nobody is hurt."""

import re
from collections.abc import Mapping

_SAYS_SO = ("environment", "env", "stage")
_HINTS_AT_IT = ("cluster", "namespace", "exported_namespace", "tier")
_TEST = re.compile(
    r"(?:^|[-_./ ])(?:dev|develop|development|tests?|testing|sandbox|qa|ci|uat|e2e|lab|staging|stage|stg|demo|preview"
    r"|playground|pre-?prod|non-?prod)\d*(?:$|[-_./ ])"
)
_PRODUCTION = re.compile(r"(?:^|[-_./ ])(?<!pre-)(?<!non-)(?:prod|prd|production|live)\d*(?:$|[-_./ ])")


def place_for_tests(labels: Mapping[str, str]) -> str | None:
    """The label that names a place for tests, in words; None for production, and where no label names a place."""
    for name in (*_SAYS_SO, *_HINTS_AT_IT):
        value = labels.get(name, "").lower()
        if _PRODUCTION.search(value) and name in _SAYS_SO:
            return None
        if _TEST.search(value):
            return f"{name} {labels[name]!r}"
    return None
