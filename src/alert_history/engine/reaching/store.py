"""The store as callers see it: each port either keeps to their reach, or refuses whoever has one, or is listed here.

A new port of `ports.Store` has to be named here before anything works, and `tests/unit/test_reaching.py` holds that it
is not handed on as it is, unless `AS_IT_IS` says why.
"""

from collections.abc import Mapping

from alert_history.engine.reaching.archived import ReachingArchivedRecords
from alert_history.engine.reaching.deliveries import ReachingDeliveryLog, ReachingNotificationReads
from alert_history.engine.reaching.history import ReachingHistory
from alert_history.engine.reaching.keys import ReachedKeys
from alert_history.engine.reaching.moments import (
    ReachingFiringReads,
    ReachingMoments,
    ReachingNightReads,
    ReachingSilenceVersions,
    ReachingSurroundings,
)
from alert_history.engine.reaching.numbers import ReachingAnalytics, ReachingStatistics
from alert_history.engine.reaching.people import (
    ReachingActs,
    ReachingClassificationHistory,
    ReachingSettings,
    ReachingSilences,
)
from alert_history.engine.reaching.refusing import refusing
from alert_history.ports import Store

AS_IT_IS: Mapping[str, str] = {
    "audit": "it writes down who did what, and tells nothing",
    "classifications": "it is asked by shape, and `engine.classify` checks that all of a shape is within the reach",
    "receipt_urls": "it is asked by the ids of receipts, which stand in the timeline of an alert alone",
}
"""The ports that callers get as they are, and why."""


def store_within_reach(store: Store) -> Store:
    """The store for whatever answers callers. Without a reach each call is handed on as it is."""
    keys = ReachedKeys(store.feed)
    return Store(
        recorder=refusing(store.recorder),
        history=ReachingHistory(store.history),
        upkeep=refusing(store.upkeep),
        standings=refusing(store.standings),
        reconciling=refusing(store.reconciling),
        lifecycle=refusing(store.lifecycle),
        outbox=refusing(store.outbox),
        delivery_log=ReachingDeliveryLog(store.delivery_log, store.notifications, keys),
        demonstrations=refusing(store.demonstrations),
        archivable=refusing(store.archivable),
        archived_search=refusing(store.archived_search),
        archived_records=ReachingArchivedRecords(store.archived_records),
        classifications=store.classifications,
        classification_history=ReachingClassificationHistory(store.classification_history, store.history),
        spending=refusing(store.spending),
        rollups=refusing(store.rollups),
        rollup_checks=refusing(store.rollup_checks),
        analytics=ReachingAnalytics(store.analytics),
        statistics=ReachingStatistics(store.statistics),
        label_counts=refusing(store.label_counts),
        rule_activities=refusing(store.rule_activities),
        surroundings=ReachingSurroundings(store.surroundings),
        settings=ReachingSettings(store.settings),
        audit=store.audit,
        audit_trail=refusing(store.audit_trail),
        senders=refusing(store.senders),
        silences=ReachingSilences(store.silences, keys),
        moments=ReachingMoments(store.moments),
        configurations=refusing(store.configurations),
        silence_versions=ReachingSilenceVersions(store.silence_versions),
        receipt_urls=store.receipt_urls,
        night=ReachingNightReads(store.night, store.analytics, keys),
        firing=ReachingFiringReads(store.firing, store.analytics),
        acts=ReachingActs(store.acts, keys),
        vendor_events=refusing(store.vendor_events),
        notifications=ReachingNotificationReads(store.notifications, keys),
        feed=refusing(store.feed),
        tokens=refusing(store.tokens),
        sign_ins=refusing(store.sign_ins),
        imports=refusing(store.imports),
        import_files=refusing(store.import_files),
    )
