"""`alert-history doctor`, of the origins: whether each answers, and how far it may correct history."""

from contextlib import aclosing

from alert_history.bootstrap import utc_now
from alert_history.cli.finding import Finding
from alert_history.cli.store import faults_of, on_primary, using_store
from alert_history.config import Settings
from alert_history.domain.standing import Witnesses
from alert_history.engine.origins import Asking, Origins, Round
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.urls.secret import revealed

_ADVICE = {
    "alertmanager": "see that it runs, and that ALERTMANAGER_URLS is right",
    "prometheus": "see that it runs, and that PROMETHEUS_URLS is right",
}


async def examine_origins(settings: Settings) -> list[Finding]:
    """No findings where the settings name no origin."""
    origins = Origins.read(revealed(settings.alertmanager_urls), revealed(settings.prometheus_urls))
    if origins.is_empty:
        return []
    async with aclosing(Asking(origins, clock=utc_now, is_publishing=False)) as asking:
        return _judge(await asking.ask(await _known(settings)))


async def _known(settings: Settings) -> Witnesses:
    """The known witnesses, as far as the database can be read."""
    async with using_store(on_primary(settings)) as store:
        if not await faults_of(store, settings):
            await KnownWitnesses(store.recorder, store.settings).refresh(is_writing=False)
        return store.recorder.witnesses


def _judge(round_: Round) -> list[Finding]:
    faults = [
        Finding("origins", "fault", f"{source}: {fault}", _ADVICE[source.partition("/")[0]])
        for source, fault in sorted(round_.faults.items())
    ]
    findings = []
    for listing in round_.listings:
        text = f"{listing.asked.source} lists {len(listing.listed)} alerts"
        if listing.hindrance is None:
            findings.append(Finding("origins", "ok", text))
        else:
            findings.append(
                Finding("origins", "note", f"{text}, and only confirms: {listing.hindrance}", "mend what it names")
            )
    return [*faults, *findings]
