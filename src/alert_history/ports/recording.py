"""The write side of a store."""

from collections.abc import Sequence
from typing import Protocol

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.standing import Witnesses


class Recorder(Protocol):
    """The write side."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """Keep all of it in one transaction; return after the commit, one outcome a receipt, in order.

        Sightings of one occurrence are taken in the order given. It may be called again before it returns, with
        other fingerprints. Whoever retries after an error changes
        nothing twice, except that repeats are counted again.

        Raises:
            StorageUnavailable: nothing was kept, or it is not known whether it was.
            UnstorableReceipt: the database refused the data itself; nothing was kept.
        """
        ...


class ClaimRecorder(Recorder, Protocol):
    """The write side that joins claims, and learns with them who are peers."""

    @property
    def witnesses(self) -> Witnesses:
        """What is known of those who make claims."""
        ...

    def take_up_witnesses(self, witnesses: Witnesses) -> None:
        """Judge claims by these from now on. Whoever has learnt more gives what was known before along with it."""
        ...
