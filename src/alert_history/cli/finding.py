"""A finding of `alert-history doctor`."""

from typing import Literal, NamedTuple

State = Literal["ok", "note", "fault"]


class Finding(NamedTuple):
    """One line of the table. `advice` says what to do about the `observation`, and is empty where all is well."""

    subject: str
    state: State
    observation: str
    advice: str = ""
