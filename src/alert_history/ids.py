"""Ids that sort by time: a new id of a request, a row or a process, and the lowest id of a time."""

import os
import socket
from datetime import datetime

from alert_history.domain.microseconds import to_us
from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id


def new_id(time: datetime) -> str:
    """A new id, which sorts by that time."""
    return time_ordered_id(time, randomness=os.urandom(RANDOM_ID_BYTES))


def lowest_uuid7(time: datetime) -> str:
    """An id before all UUIDv7 made at or after that time, and after all made before its millisecond."""
    milliseconds = f"{max(to_us(time), 0) // 1000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-000000000000"


def process_name() -> str:
    """A name for this start of this process, which no other has: the host's, and a few random digits."""
    return f"{socket.gethostname()}/{os.urandom(4).hex()}"
