"""Which Alertmanagers are one witness, when each restarted, and who posts: learnt by a replica, stored for all."""

from datetime import datetime

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import origin_of, recorder_id
from alert_history.domain.standing import Witnesses
from alert_history.engine.upkeep import every
from alert_history.ports import ClaimRecorder, StoredSettings

_REFRESH_SECONDS = 5.0
_SETTING = "witnesses"
_START = "alertmanagerStartupEvent"


class KnownWitnesses:
    """Keeps the witnesses that the recorder knows in line with those in the database."""

    def __init__(self, recorder: ClaimRecorder, settings: StoredSettings) -> None:
        self._recorder = recorder
        self._settings = settings

    def heard(self, receipt: Receipt) -> None:
        """Take up the starts of Alertmanagers and the first-hand senders that a receipt shows."""
        self._recorder.take_up_witnesses(learn(self._recorder.witnesses, receipt))

    async def open(self) -> None:
        """See `engine.store_opening.Room`."""
        await self.refresh()

    async def refresh(self, *, is_writing: bool = True) -> None:
        """Take up what other replicas have learnt; with `is_writing`, store what this replica has learnt."""
        value = await self._settings.read(_SETTING)
        known = Witnesses() if value is None else msgspec.convert(value, Witnesses)
        self._recorder.take_up_witnesses(known.merged(self._recorder.witnesses))
        if is_writing and self._recorder.witnesses != known:
            await self._settings.write(_SETTING, msgspec.to_builtins(self._recorder.witnesses))

    async def run(self) -> None:
        """Until cancelled."""
        await every(_REFRESH_SECONDS, "witnesses", self.refresh)


def learn(witnesses: Witnesses, receipt: Receipt) -> Witnesses:
    """The known witnesses after a receipt, apart from their peers: peers are learnt with the claims."""
    if receipt.scope or witnesses.scopes:
        witnesses = _with_scope(witnesses, receipt)
    if receipt.group.source == "prometheus":
        return _with_posters(witnesses, receipt)
    for event in receipt.group.details.get("lifecycle", ()) if receipt.group.source == "event_recorder" else ():
        if event.get("event") == _START and "at" in event:
            at_us = to_us(datetime.fromisoformat(event["at"]))
            witnesses = witnesses.restarted(recorder_id(event.get("instance", "")), at_us)
    return witnesses


def _with_posters(witnesses: Witnesses, receipt: Receipt) -> Witnesses:
    for sighting in receipt.sightings:
        if sighting.word.sender not in witnesses.posters:
            origin = origin_of(sighting.alert.generator_url)
            if origin:
                witnesses = witnesses.posted(sighting.word.sender, origin)
    return witnesses


def _with_scope(witnesses: Witnesses, receipt: Receipt) -> Witnesses:
    """Once one sender names a scope, the scope of each sender is remembered, an empty one too."""
    for sender in {sighting.word.peer or sighting.word.sender for sighting in receipt.sightings}:
        witnesses = witnesses.scoped(sender, receipt.scope)
    return witnesses
