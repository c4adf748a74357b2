"""The write side of a store."""

from collections.abc import Sequence
from typing import Protocol

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.standing import Witnesses


class Recorder(Protocol):
    """The write side: receipts in, outcomes out."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """Keep all receipts in one transaction; returns after the commit, one outcome for each receipt, in order.

        The store takes sightings of one occurrence in the order given. A caller may call again before the first call
        returns, with other fingerprints. A caller that retries after an error changes nothing twice, except that the
        store counts repeats again.

        Raises:
            StorageUnavailable: the store kept nothing, or can't know whether it did.
            UnstorableReceipt: the database refused the data itself; the store kept nothing.
        """
        ...


class ClaimRecorder(Recorder, Protocol):
    """The write side that joins claims, and learns from claims which witnesses are peers."""

    @property
    def witnesses(self) -> Witnesses:
        """What is known of the witnesses that make claims."""
        ...

    def take_up_witnesses(self, witnesses: Witnesses) -> None:
        """Judge claims by these witnesses from now on. A caller that learnt more passes the earlier knowledge along."""
        ...
