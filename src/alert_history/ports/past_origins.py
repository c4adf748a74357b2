"""Where a past is brought in from: what an origin of imports offers, and what it is given.

An origin is one file in `origins/imports/`, with a constant `ORIGIN` of the type `PastOrigin`. Another package adds its
own by an entry point in the group `alert_history.imports` that names such a constant. The command line and the page
make their form from `options`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.past_firing import PastFiring, RefusedRow

OptionKind = Literal["text", "url", "secret", "path", "file", "flag", "pairs"]
"""`secret`: a text that nobody shows again. `path`: a file of the machine that imports, which a page does not offer.

`file`: the file to import, which a page takes as an upload. `flag`: there or not. `pairs`: `name=value`, several times.
"""


class Option(msgspec.Struct, frozen=True):
    """One thing that an origin is told: `--name` on the command line, a field on the page.

    `help` is one sentence. An option of kind `file` is the command's argument. `choices`: one of these words.
    `is_repeated`: it may be given several times, as `pairs` always may.
    """

    name: str
    help: str
    kind: OptionKind = "text"
    is_required: bool = False
    is_repeated: bool = False
    choices: tuple[str, ...] = ()
    default: str = ""


class ImportRequest(msgspec.Struct, frozen=True):
    """What one import is told. `start` ≤ a firing's start < `end` is wanted; None is as far as the origin goes.

    `now` is when the import began. `given` holds the options by name; a flag that is set is there with the text `yes`.
    `is_guarded`: it was asked for over HTTP, so an origin connects to no address that `origins.imports.guard` forbids.
    """

    given: Mapping[str, tuple[str, ...]]
    now: datetime
    start: datetime | None = None
    end: datetime | None = None
    is_guarded: bool = False

    def text(self, name: str) -> str:
        """The value of an option; empty where it was not given."""
        values = self.given.get(name, ())
        return values[-1] if values else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of an option that may be repeated."""
        return self.given.get(name, ())

    def is_set(self, name: str) -> bool:
        """Whether an option was given."""
        return bool(self.given.get(name))

    def pairs(self, name: str) -> dict[str, str]:
        """The `name=value` pairs of an option. Checked before the origin gets them."""
        return {key.strip(): value for key, _, value in (pair.partition("=") for pair in self.texts(name))}

    def wants(self, starts_at: datetime) -> bool:
        """Whether a firing that began then lies in the asked span."""
        return (self.start is None or starts_at >= self.start) and (self.end is None or starts_at < self.end)


class PastBatch(msgspec.Struct, frozen=True):
    """Some of what an origin remembers; at most a few thousand values, because all of a batch is in memory at once.

    `done` is which share of the reading is done by now, from 0 to 1; None where nobody knows.
    """

    firings: Sequence[PastFiring] = ()
    refused: Sequence[RefusedRow] = ()
    silences: Sequence[Silence] = ()
    done: float | None = None


ReadPast = Callable[[ImportRequest], AsyncIterator[PastBatch]]
"""Reads an origin, in any order, holding no more than a batch. It is an async generator, which is closed when the
import ends early.

Raises: ConfigurationError for options that don't go together or can't be used; OriginUnavailable where the origin gives
no whole answer after some tries; ImportFault where the whole is unreadable, with the file, and the row or the byte.
"""


class PastOrigin(msgspec.Struct, frozen=True):
    """One origin. `name` is its word on the command line, `title` its name for people, `about` one sentence of help."""

    name: str
    title: str
    about: str
    options: tuple[Option, ...]
    read: ReadPast
