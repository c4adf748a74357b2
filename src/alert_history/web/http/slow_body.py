"""The body of a request that does not arrive: how long it may take, and what is said of it."""

from alert_history.errors import SlowBody

READ_SECONDS = 30

_BUSY_SECONDS = 5


def slow_body(name: str, *, seconds: float) -> SlowBody:
    """The error for a body, called `name`, that took longer than so many seconds."""
    return SlowBody(f"the {name} did not arrive within {seconds} s", after_seconds=_BUSY_SECONDS)
