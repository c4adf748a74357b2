"""What alerts are about, read from words in their names: for alerts that `known_alerts` has no entry for.

The first family whose pattern is found in the alertname is meant.
"""

import re
from typing import NamedTuple

from alert_history.domain.classification import NO_KNOWN_CAUSE
from alert_history.domain.severity import Severity


class Family(NamedTuple):
    """What is known of alerts of one kind.

    `what` says in a few words what happens; `usual` is how serious that mostly is, for alerts without a severity of
    their own. `at_least` and `at_most` are an experienced colleague's bounds, whatever the label says. `is_fault` means
    that something is broken each time: no habit makes it harmless, unlike a value that is high now and then.
    Words in braces in the advice are labels.
    """

    category: str
    usual: Severity
    what: str
    cause: str
    advice: tuple[str, ...]
    is_fault: bool = False
    at_least: Severity | None = None
    at_most: Severity | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known of alerts of this kind."""
        return self.what == UNKNOWN.what


def _named_like(pattern: str, family: Family) -> tuple[re.Pattern[str], Family]:
    return re.compile(pattern, re.IGNORECASE), family


_STORES = (
    "postgres|pg_|pgbouncer|patroni|mysql|maria|mongo|redis|memcached|kafka|rabbit|pulsar|nats|zookeeper|cassandra|scylla"
    "|elastic|opensearch|solr|clickhouse|cockroach|couch|hadoop|hbase|hdfs|flink|spark|influx|oracle|mssql|sqlserver"
    "|database"
)
_BROKEN = re.compile(
    r"fail|error|errs|down|missing|reject|dropp|dropping|deadlock|unavail|noavailable|broken|corrupt|refus|timeout|overflow"
    r"|expired|unhealthy|disconnect|without|lost|loss|stuck|dead|absent|invalid|notready|crash|stopped|halted|critical$"
    r"|degraded|unreachable",
    re.IGNORECASE,
)
_NOT_DOING = re.compile(r"Not[A-Z][a-z]+ing|No[A-Z][a-z]+")

_ON_PURPOSE = (
    r"((watchdog|heartbeat|deadmans?s?switch|deadmanssnitch|(.*[_ -])?test_?alert.*)$|.*dead_?mans?_?s?_?switch)"
)
_SILENT = "missing|absent|fail|lost|stopp|silent|down|broken|gone|late$|overdue|expired|not_?[a-z]+ing"
"""Words for a self-test that has stopped: alerting is broken then."""

UNKNOWN = Family(
    "other",
    "warning",
    "a rule of your own",
    NO_KNOWN_CAUSE,
    ("Read the rule that fires, and what changed shortly before.",),
)

SELF_TEST = Family(
    "self-test",
    "noise",
    "it fires on purpose",
    "It fires always, or when somebody asks for it, to show that alerting works.",
    ("Route it to a dead man's switch and to nobody else.",),
)

FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = (
    _named_like(
        rf"^(?!.*({_SILENT})){_ON_PURPOSE}",
        SELF_TEST,
    ),
    _named_like(
        rf"(watchdog|dead_?mans?_?s?_?switch).*({_SILENT})",
        Family(
            "monitoring",
            "critical",
            "what fires always, to show that alerting works, does not",
            "Prometheus or Alertmanager is down, or their way out is broken: nobody may be told of anything.",
            (
                "Check that Prometheus and Alertmanager run and reach each other.",
                "Send an alert by hand and see whether it arrives: amtool alert add.",
                "Do not take silence for health until it is mended.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"backup|snapshot|restore|velero",
        Family(
            "backup",
            "warning",
            "a backup failed or is overdue",
            "The job did not run, ran out of space or could not reach where it writes to.",
            (
                "Check how old the newest backup is that can be restored.",
                "Run it by hand and read its log.",
                "Put off risky changes until there is one.",
            ),
            is_fault=True,
            at_least="warning",
        ),
    ),
    _named_like(
        r"login|unauthori[sz]ed|intrusion|privilege|suspicious|bruteforce|vulnerab",
        Family(
            "security",
            "critical",
            "somebody may be where they should not be",
            "An attack, a scanner, or a client with an old password.",
            ("Find out who it was and from where before anything is restarted.", "Keep the logs."),
            is_fault=True,
        ),
    ),
    _named_like(
        r"ipmi|temperature|overheat|battery|power(?!shell)|voltage|\bfan|fan(speed|fail|sensor)|smart(device|disk|ctl|health)|ecc|edac|\bups|apcups",
        Family(
            "hardware",
            "critical",
            "a machine or its supply is not well",
            "A part on its way out, cooling or power that failed, or a sensor that lies.",
            (
                "Read the sensors: ipmitool sdr, ipmitool sel list",
                "See whether neighbours in the same rack say the same.",
                "Move the load away and shut down in order before it is switched off.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"cert(?!ain)|tls|ssl|x509",
        Family(
            "certificates",
            "warning",
            "a certificate expires or was not renewed",
            "The automatic renewal fails, or there is none.",
            (
                "Look at the logs of the renewal (cert-manager: the Certificate, its Order and its Challenge).",
                "Renew it by hand if less than a week is left.",
                "Check that what serves it has loaded the new one.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"latency|slow|duration|response.?time|apdex",
        Family(
            "latency",
            "warning",
            "requests take longer than they should",
            "More load, a slow dependency, or too little CPU.",
            (
                "Compare with traffic and with the latency of what it calls.",
                "Look for a deployment at the time it began.",
                "Look for throttling and for slow statements.",
            ),
        ),
    ),
    _named_like(
        r"crashloop|restart",
        Family(
            "workload",
            "warning",
            "a container ends and is started again",
            "A crash, a failing probe, a missing dependency, or a memory limit.",
            (
                "Read the container's last words: kubectl -n {namespace} logs {pod} --previous",
                "Look at exit code and events: kubectl -n {namespace} describe pod {pod}",
                "Roll back if it began with a deployment.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"diskio|io(util|wait|satur)|iops",
        Family(
            "storage",
            "warning",
            "disks are busier than they can be",
            "A backup, a compaction, a scan, or more load than the disk takes.",
            (
                "Find who reads or writes: iotop, pidstat -d.",
                "Move the heavy job to another hour, or the data to a faster disk.",
            ),
        ),
    ),
    _named_like(
        r"disk|filesystem|inode|volume|storage|outofspace|spaceleft|raid|ceph|openebs|longhorn|minio|zfs|smb|nfs|poolcapacity|poolfull",
        Family(
            "storage",
            "warning",
            "a disk or volume fills up or fails",
            "Logs, a backlog, or data that is kept for too long.",
            (
                "See what grew in it, and how fast.",
                "Estimate when it will be full at the present rate.",
                "Remove or rotate what is not needed, or extend it.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"(?-i:(?<![A-Z])OOM|Oom|(?<![A-Za-z])oom)|outofmemory|memory|swap|heap",
        Family(
            "memory",
            "warning",
            "something uses more memory than it was given",
            "A leak, more load, or a limit that is too low.",
            (
                "Find what grew, and since when.",
                "Compare the limit with the working set of the last days.",
                "Raise the limit, or restart it if it leaks.",
            ),
        ),
    ),
    _named_like(
        r"etcd|apiserver|kubeapi|controllermanager|scheduler|kubelet",
        Family(
            "control plane",
            "critical",
            "the control plane of Kubernetes is not well",
            "A member is slow, unreachable or lost.",
            (
                "Check that its members are up, and how long their disks take to sync.",
                "Change no workloads until it is well again.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"(prometheus|alertmanager|grafana|thanos|mimir|loki|cortex|tempo|jaeger|opentelemetry|otel|victoria|vmagent).*(?<!down)$|scrape"
        r"|exporter|rule(failure|evaluation)|fluent(d|bit)|promtail|logstash",
        Family(
            "monitoring",
            "warning",
            "monitoring itself is not well",
            "What it says now may be incomplete.",
            (
                "Check its targets, disk and memory.",
                "Read its log from the time this began.",
                "Do not take silence for health until it is mended.",
            ),
        ),
    ),
    _named_like(
        rf"({_STORES}).*(down|missing|unreachable|unavailable|noavailable.*)$",
        Family(
            "data",
            "critical",
            "a store is down",
            "It crashed, ran out of memory or disk, or can't be reached.",
            (
                "Check process, disk and memory of the store before anything is restarted.",
                "Read its log from the time it ended.",
                "Fail over if it has a replica that is up to date.",
                "Tell those who depend on it.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"node.*(notready|unreachable|down|readiness)|(host|instance)down|down$|absent|unreachable"
        r"|(target|endpoint|probe|service)s?.*(failed|missing|unavailable)",
        Family(
            "availability",
            "critical",
            "what should answer does not",
            "It is down, can't be reached, or is no longer found.",
            (
                "Check whether it is down or only not scraped.",
                "Look for what else stopped in the same place at the same time.",
                "Restart or fail over if users are hurt.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"error|5xx|4xx|failure.?rate|timeout.?rate|burn|slo(?![tw])",
        Family(
            "errors",
            "critical",
            "more requests fail than may",
            "A release, a dependency that fails, or a client that sends nonsense.",
            (
                "See which endpoint and which release the errors come from.",
                "Roll back if they began with a release.",
                "Check the dependencies.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"cpu|(?<!work)(?<!pay)(?<!down)(?<!up)load|throttl|saturat|overcommit|quota|filedescriptor|threadpool|utili[sz]ation",
        Family(
            "capacity",
            "warning",
            "demand comes near to what there is",
            "More load, a runaway process, or a limit that is too low.",
            (
                "See who uses most of it, and since when.",
                "Scale out, or raise the request or quota.",
            ),
        ),
    ),
    _named_like(
        rf"{_STORES}|queue|lag\b|lag$|replication|connections|backlog",
        Family(
            "data",
            "warning",
            "a store or a queue falls behind",
            "A client that asks for more, slow statements, or a consumer that stands still.",
            (
                "Look at lag, connections and the slowest statements.",
                "Find out which client began to ask for more.",
                "Check that the consumers run.",
            ),
        ),
    ),
    _named_like(
        r"clock|ntp|time.?(drift|sync)",
        Family(
            "clock",
            "warning",
            "a clock runs off",
            "Time synchronisation stands still or can't reach its servers.",
            (
                "Check synchronisation: chronyc tracking, or timedatectl.",
                "Mind certificates, leases and logs of that machine until it is right.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"replica|deadlock|deploy|statefulset|daemonset|rollout|hpa|pod|container|job|sync",
        Family(
            "workload",
            "warning",
            "a workload has not the state that it should have",
            "Lack of resources, a failing probe, or an image that can't be pulled.",
            (
                "Read its events: kubectl -n {namespace} get events --sort-by=.lastTimestamp",
                "Look for pods that are not ready: kubectl -n {namespace} get pods",
                "Compare with the last deployment.",
            ),
            is_fault=True,
        ),
    ),
    _named_like(
        r"network|dns|packet|drops|conntrack|bgp|interface|cilium|calico|neutron|wireguard|vpn|envoy|istio|linkerd|haproxy|nginx|traefik",
        Family(
            "network",
            "warning",
            "packets are lost or names are not resolved",
            "A cable, a port, a full table, or a name server.",
            (
                "Look at errors and drops of the interfaces involved, on both ends.",
                "Check the name servers.",
            ),
            is_fault=True,
        ),
    ),
)


def family_like(alertname: str) -> Family:
    """The family that the name speaks of, or `UNKNOWN`. A name that says that something is broken makes it a fault."""
    family = next((family for pattern, family in FAMILIES if pattern.search(alertname)), UNKNOWN)
    is_broken = _BROKEN.search(alertname) or _NOT_DOING.search(alertname)
    return family._replace(is_fault=True) if is_broken and family is not SELF_TEST else family
