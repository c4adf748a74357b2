"""Alerts that public rule sets define, by name: what they mean, and what an experienced colleague would do.

The rule sets: kubernetes-mixin, node-mixin, prometheus-mixin, alertmanager-mixin, kube-prometheus, etcd, cert-manager,
Thanos, and the exporters of blackbox, PostgreSQL, Redis and RabbitMQ. Names are theirs; the words are ours.
What a family would say just as well (`families`) is not repeated here.
"""

from collections.abc import Iterable

from alert_history.enrichers.families import SELF_TEST, Family, family_like
from alert_history.enrichers.known_cluster_alerts import KUBERNETES, NODES

MONITORING: tuple[tuple[str, Family], ...] = (
    ("Watchdog InfoInhibitor DeadMansSwitch TestAlert", SELF_TEST),
    (
        (
            "PrometheusNotIngestingSamples PrometheusErrorSendingAlertsToAnyAlertmanager PrometheusDown"
            " AlertmanagerClusterDown ThanosRuleQueueIsDroppingAlerts ThanosRuleIsDown"
        ),
        Family(
            "monitoring",
            "critical",
            "we are blind, or nobody is told",
            "Prometheus takes nothing in, or what it says does not leave it.",
            (
                "Check that the pods run, and their disk and memory: kubectl -n {namespace} get pods",
                "Read their logs from the time this began.",
                "Watch dashboards by hand until it is mended: no alert can be relied on.",
            ),
            is_fault=True,
            at_least="critical",
        ),
    ),
    (
        (
            "PrometheusBadConfig PrometheusRemoteStorageFailures"
            " PrometheusNotConnectedToAlertmanagers PrometheusErrorSendingAlertsToSomeAlertmanagers"
            " AlertmanagerClusterCrashlooping AlertmanagerClusterFailedToSendAlerts AlertmanagerFailedToSendAlerts"
            " AlertmanagerFailedReload AlertmanagerConfigInconsistent AlertmanagerMembersInconsistent"
            " ThanosRuleSenderIsFailingAlerts"
        ),
        Family(
            "monitoring",
            "critical",
            "alerts are lost on their way",
            "A configuration that was refused, or a receiver that can't be reached.",
            (
                "Read the logs of Prometheus and Alertmanager from the time this began.",
                "Check the configuration: promtool check config, amtool check-config.",
                "Check that a test alert arrives: amtool alert add",
                "Watch dashboards by hand until it is mended: no alert can be relied on.",
            ),
            is_fault=True,
        ),
    ),
    (
        (
            "PrometheusTSDBCompactionsFailing PrometheusTSDBReloadsFailing PrometheusNotificationQueueRunningFull"
            " PrometheusRemoteWriteBehind PrometheusHighQueryLoad"
        ),
        Family(
            "monitoring",
            "warning",
            "Prometheus falls behind",
            "Its disk is full or slow, a rule is wrong, or it has more to do than it can.",
            (
                "Check disk space and memory of Prometheus.",
                "Read its log from the time this began.",
                "Find the rule or target that takes most: its own /tsdb-status and /rules pages.",
            ),
            is_fault=True,
        ),
    ),
    (
        "PrometheusOutOfOrderTimestamps PrometheusDuplicateTimestamps",
        Family(
            "monitoring",
            "warning",
            "Prometheus drops samples that come twice or late",
            "Two sources write the same series: a second replica without its own label, or a target scraped twice.",
            (
                "Find the series in the log of Prometheus.",
                "Give each replica an external label of its own, or scrape the target once.",
            ),
        ),
    ),
    (
        (
            "PrometheusMissingRuleEvaluations PrometheusRuleFailures ThanosNoRuleEvaluations"
            " ThanosRuleNoEvaluationFor10Intervals ThanosRuleHighRuleEvaluationFailures ThanosRuleEvaluationLatencyHigh"
        ),
        Family(
            "monitoring",
            "warning",
            "rules are not evaluated, so what they watch is unwatched",
            "A rule that fails or takes too long, or a query endpoint that does not answer.",
            (
                "Find the group on the rules page: its last error and how long it takes.",
                "Make the rule cheaper, or split the group.",
            ),
            is_fault=True,
            at_least="warning",
        ),
    ),
    (
        "TargetDown",
        Family(
            "availability",
            "warning",
            "targets of a job can't be scraped",
            "They are down, or only their metrics can't be reached: a port, a NetworkPolicy, a certificate.",
            (
                "See the error on the targets page of Prometheus.",
                "Check whether the service answers its users: kubectl -n {namespace} get pods,endpoints",
                "If it does, mend port, NetworkPolicy or ServiceMonitor.",
            ),
            is_fault=True,
        ),
    ),
)

DATA: tuple[tuple[str, Family], ...] = (
    (
        "PostgresqlTransactionIdWraparound PostgresqlXidWraparound PostgreSQLTransactionWraparound",
        Family(
            "data",
            "critical",
            "PostgreSQL runs out of transaction ids and will refuse every write",
            "Vacuum can't keep up, or an old transaction, replication slot or prepared transaction holds it back.",
            (
                "Find the oldest: SELECT datname, age(datfrozenxid) FROM pg_database ORDER BY 2 DESC",
                "End what holds vacuum back: pg_stat_activity, pg_replication_slots, pg_prepared_xacts.",
                "Run VACUUM (FREEZE) on the oldest tables.",
            ),
            is_fault=True,
            at_least="critical",
        ),
    ),
    (
        (
            "RabbitmqDiskAlarm RabbitmqMemoryAlarm RabbitmqFreeDiskSpaceAlarm RabbitmqMemoryHighAlarm"
            " RabbitmqResourceAlarm"
        ),
        Family(
            "data",
            "critical",
            "RabbitMQ blocks all publishers",
            "A node is above its memory mark or below its free disk; it is over only when that is.",
            (
                "See which and where: rabbitmq-diagnostics alarms",
                "Find the queue that grew, and start its consumers.",
                "Give the node disk or memory; purge only what nobody misses.",
            ),
            is_fault=True,
            at_least="critical",
        ),
    ),
    (
        "RedisOutOfConfiguredMaxmemory RedisOutOfMemory RedisMemoryHigh",
        Family(
            "memory",
            "warning",
            "Redis nears its memory limit",
            "More keys, larger values, or keys that never expire.",
            (
                "See what it does at the limit: CONFIG GET maxmemory-policy",
                "Find large keys: redis-cli --bigkeys",
                "Raise maxmemory, or let keys expire.",
            ),
            is_fault=True,
        ),
    ),
    (
        "RedisRejectedConnections PostgresqlTooManyConnections MysqlTooManyConnections",
        Family(
            "data",
            "critical",
            "a store has no connections left",
            "A client leaks connections, or too many clients have too large pools.",
            (
                "See who holds them: CLIENT LIST, or pg_stat_activity by application_name.",
                "Restart the client that leaks.",
                "Lower pool sizes, or put a pooler between.",
            ),
            is_fault=True,
            at_least="warning",
        ),
    ),
    (
        (
            "PostgresqlReplicationLag RedisReplicationBroken RedisMissingMaster MysqlSlaveReplicationLag"
            " KafkaConsumersGroupLag"
        ),
        Family(
            "data",
            "warning",
            "a replica or consumer falls behind",
            "Long transactions, more writes than it can take, or a network that is slow.",
            (
                "See how far and since when: pg_stat_replication, INFO replication, or the lag of the group.",
                "Look for long statements on the replica.",
                "Do not fail over to it before it has caught up.",
            ),
            is_fault=True,
        ),
    ),
    (
        "BlackboxSslCertificateExpired CertManagerCertNotReady CertificateExpired KubeClientCertificateExpiration",
        Family(
            "certificates",
            "critical",
            "a certificate is refused, or soon will be",
            "The automatic renewal failed, or there is none.",
            (
                "See until when: openssl s_client -connect HOST:443 | openssl x509 -noout -dates",
                "Renew it by hand now.",
                "Read why the renewal failed: kubectl -n {namespace} describe certificate,order,challenge",
            ),
            is_fault=True,
        ),
    ),
)


def _by_name(*tables: Iterable[tuple[str, Family]]) -> dict[str, Family]:
    return {name.lower(): family for table in tables for names, family in table for name in names.split()}


KNOWN = _by_name(MONITORING, NODES, KUBERNETES, DATA)
"""By name in lower case."""


def family_of(alertname: str) -> Family:
    """What is known of alerts of this name; else what the words in it speak of; else `UNKNOWN`."""
    return KNOWN.get(alertname.lower()) or family_like(alertname)
