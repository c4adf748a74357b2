"""A circuit breaker that says why it is open: who asks too often is told so without another call."""

from datetime import datetime, timedelta

from alert_history.ports import Clock


class Breaker:
    """Opens after so many failures in a row, for `pause`; then one call may try, and closes or opens it again.

    A failure that says when to come back opens it at once, for that long.
    """

    def __init__(self, *, failures: int, pause: timedelta, clock: Clock) -> None:
        self._failures = failures
        self._pause = pause
        self._clock = clock
        self._in_a_row = 0
        self._open_until: datetime | None = None
        self._has_return_time = False
        self._reason = ""

    @property
    def reason(self) -> str | None:
        """Why no call may be made now; None if one may."""
        return self._reason if self.seconds_left > 0 else None

    @property
    def seconds_left(self) -> float:
        """How long it stays open; 0 if it is not."""
        if self._open_until is None:
            return 0.0
        return max((self._open_until - self._clock()).total_seconds(), 0.0)

    def is_over_by(self, deadline: datetime) -> bool:
        """Whether who failed said himself when to come back, and that is before the deadline."""
        return self._has_return_time and self._open_until is not None and self._open_until < deadline

    def failed(self, reason: str, *, after_seconds: float | None) -> None:
        """A call failed; `after_seconds` is when it said to come back."""
        self._in_a_row += 1
        self._reason = reason
        self._has_return_time = after_seconds is not None
        if after_seconds is not None:
            self._open_until = self._clock() + timedelta(seconds=after_seconds)
        elif self._in_a_row >= self._failures:
            self._open_until = self._clock() + self._pause

    def succeeded(self) -> None:
        """A call went well."""
        self._in_a_row = 0
        self._open_until = None
