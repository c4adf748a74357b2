"""A circuit breaker that says why it is open, so that a caller has the reason without another call."""

from datetime import datetime, timedelta

from alert_history.ports import Clock


class Breaker:
    """Opens after so many failures in a row, for `pause`; then one call may try, and closes or opens it again.

    A failure that says when to come back opens the breaker at once, for that long.
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
        """Why calls are refused now; None while they are allowed."""
        return self._reason if self.seconds_left > 0 else None

    @property
    def seconds_left(self) -> float:
        """How long the breaker stays open; 0 while it is closed."""
        if self._open_until is None:
            return 0.0
        return max((self._open_until - self._clock()).total_seconds(), 0.0)

    def is_over_by(self, deadline: datetime) -> bool:
        """Whether the failed callee itself named a time to come back, and that time is before the deadline."""
        return self._has_return_time and self._open_until is not None and self._open_until < deadline

    def failed(self, reason: str, *, after_seconds: float | None) -> None:
        """Count a failed call; `after_seconds` is when the callee said to come back."""
        self._in_a_row += 1
        self._reason = reason
        self._has_return_time = after_seconds is not None
        if after_seconds is not None:
            self._open_until = self._clock() + timedelta(seconds=after_seconds)
        elif self._in_a_row >= self._failures:
            self._open_until = self._clock() + self._pause

    def succeeded(self) -> None:
        """Count a call that went well: the breaker closes."""
        self._in_a_row = 0
        self._open_until = None
