"""Which Alertmanagers are one witness, when each began anew, and who posts: learnt by each replica, kept for all."""

from datetime import datetime

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import origin_of, recorder_id
from alert_history.domain.standing import Witnesses
from alert_history.engine.upkeep import every
from alert_history.ports import ClaimRecorder, Upkeep

_REFRESH_SECONDS = 5.0
_SETTING = "witnesses"
_START = "alertmanagerStartupEvent"


class KnownWitnesses:
    """Keeps what the recorder knows of witnesses in line with what is kept."""

    def __init__(self, recorder: ClaimRecorder, upkeep: Upkeep) -> None:
        self._recorder = recorder
        self._upkeep = upkeep

    def heard(self, receipt: Receipt) -> None:
        """Take up that an Alertmanager says that it has started, and which first-hand senders post."""
        if receipt.group.source == "prometheus":
            self._heard_posters(receipt)
        for event in receipt.group.details.get("lifecycle", ()) if receipt.group.source == "event_recorder" else ():
            if event.get("event") == _START and "at" in event:
                at_us = to_us(datetime.fromisoformat(event["at"]))
                sender = recorder_id(event.get("instance", ""))
                self._recorder.witnesses = self._recorder.witnesses.restarted(sender, at_us)

    def _heard_posters(self, receipt: Receipt) -> None:
        for sighting in receipt.sightings:
            if sighting.word.sender not in self._recorder.witnesses.posters:
                origin = origin_of(sighting.alert.generator_url)
                if origin:
                    self._recorder.witnesses = self._recorder.witnesses.posted(sighting.word.sender, origin)

    async def refresh(self, *, is_writing: bool = True) -> None:
        """Take up what others have learnt, and keep what this replica has, unless it is not to write."""
        kept = await self._upkeep.read_setting(_SETTING)
        known = Witnesses() if kept is None else msgspec.convert(kept, Witnesses)
        self._recorder.witnesses = known.merged(self._recorder.witnesses)
        if is_writing and self._recorder.witnesses != known:
            await self._upkeep.write_setting(_SETTING, msgspec.to_builtins(self._recorder.witnesses))

    async def run(self) -> None:
        """Until cancelled."""
        await every(_REFRESH_SECONDS, "witnesses", self.refresh)
