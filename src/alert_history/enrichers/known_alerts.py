"""Families of alerts that public rule sets define: what they are about, and what an experienced colleague would do.

The first family whose pattern is found in the alertname is meant. `usual` is how serious such an alert mostly is,
for those without a severity of their own.
"""

import re
from typing import NamedTuple

from alert_history.domain.classification import Severity


class Family(NamedTuple):
    """What alerts of a family share."""

    pattern: re.Pattern[str]
    category: str
    usual: Severity
    cause: str
    advice: tuple[str, ...]


def _family(pattern: str, category: str, usual: Severity, cause: str, *advice: str) -> Family:
    return Family(re.compile(pattern, re.IGNORECASE), category, usual, cause, advice)


FAMILIES: tuple[Family, ...] = (
    _family(
        r"^(watchdog|deadmanssnitch|infoinhibitor|test.*alert)$",
        "self-test",
        "noise",
        "It fires always, on purpose, to show that alerting works.",
        "Route it to a dead man's switch and to nobody else.",
    ),
    _family(
        r"crashloop|restart",
        "workload",
        "warning",
        "A container starts and ends again: a crash, a failing probe or a missing dependency.",
        "Read the logs of the container before its last restart.",
        "Compare with the last deployment, and roll it back if they began together.",
        "Look at exit code and memory limit.",
    ),
    _family(
        r"oom|outofmemory|memory|swap",
        "memory",
        "warning",
        "Something uses more memory than it was given.",
        "Find what grew, and since when.",
        "Compare the limit with the working set of the last days.",
        "Raise the limit or restart it if it leaks.",
    ),
    _family(
        r"disk|filesystem|inode|persistentvolume|storage|spaceleft|filling",
        "storage",
        "warning",
        "A volume fills up: logs, a backlog or data that is kept for too long.",
        "See what grew in the volume, and how fast.",
        "Remove or rotate what is not needed, or extend the volume.",
        "Estimate when it will be full at the present rate.",
    ),
    _family(
        r"cert|tls|ssl|x509",
        "certificates",
        "warning",
        "A certificate expires or was not renewed.",
        "Look at the renewal's own logs.",
        "Renew it by hand if less than a week is left.",
    ),
    _family(
        r"etcd|apiserver|kubeapi|controllermanager|scheduler|kubelet",
        "control plane",
        "critical",
        "The control plane of Kubernetes is slow, unreachable or has lost a member.",
        "Check that the members are up, and how long their disks take to sync.",
        "Do not change workloads until it is well again.",
    ),
    _family(
        r"node.*(notready|unreachable|down|readiness)|hostdown|instancedown|(target|endpoint|probe|service|job)s?.*(down|failed|unreachable|missing)|down$|absent",
        "availability",
        "critical",
        "What should answer does not: it is down, unreachable or no longer found.",
        "Check whether it is down or only not scraped.",
        "Look for what else stopped in the same place at the same time.",
        "Restart or fail over if users are hurt.",
    ),
    _family(
        r"latency|slow|duration|response.?time|apdex",
        "latency",
        "warning",
        "Requests take longer than they should: load, a slow dependency or a lack of resources.",
        "Compare with traffic and with the dependencies' latency.",
        "Look for a deployment at the time it began.",
    ),
    _family(
        r"error|5xx|failure.?rate|burn|slo",
        "errors",
        "critical",
        "More requests fail than the service may lose.",
        "See which endpoint and which release the errors come from.",
        "Roll back if they began with a release.",
    ),
    _family(
        r"cpu|load|throttl|saturat|overcommit|quota",
        "capacity",
        "warning",
        "Demand comes near to what there is.",
        "See who uses most of it, and since when.",
        "Scale out, or raise the request or quota.",
    ),
    _family(
        r"replica|deployment|statefulset|daemonset|rollout|hpa|pod|container|job|cronjob",
        "workload",
        "warning",
        "A workload has not the state it should have: not scheduled, not ready or not finished.",
        "Describe the workload and read its events.",
        "Look for lack of resources, failing probes or images that can't be pulled.",
    ),
    _family(
        r"postgres|mysql|mongo|redis|kafka|rabbit|queue|lag|replication|database|connections",
        "data",
        "critical",
        "A store or a queue falls behind or runs out of connections.",
        "Look at lag, connections and the slowest statements.",
        "Find out which client began to ask for more.",
    ),
    _family(
        r"prometheus|alertmanager|grafana|thanos|scrape|rulefailure",
        "monitoring",
        "warning",
        "Monitoring itself is not well: what it says now may be incomplete.",
        "Check its targets, disk and memory.",
        "Don't rely on silence until it is well again.",
    ),
    _family(
        r"backup|snapshot|restore",
        "backup",
        "warning",
        "A backup failed or is overdue.",
        "Run it by hand and read its log.",
        "Check how old the newest one is that can be restored.",
    ),
    _family(
        r"network|dns|packet|drop|conntrack|bgp|interface",
        "network",
        "warning",
        "Packets are lost or names are not resolved.",
        "Look at errors and drops of the interfaces involved.",
        "Check the name servers.",
    ),
    _family(
        r"clock|ntp|time.?drift",
        "clock",
        "warning",
        "A clock runs off.",
        "Check that time synchronisation runs and reaches its servers.",
    ),
    _family(
        r"login|auth|security|intrusion|privilege|suspicious",
        "security",
        "critical",
        "Somebody may be where they should not be.",
        "Find out who it was and from where before anything is restarted.",
    ),
)

UNKNOWN = _family(
    "", "other", "warning", "",
    "Read the rule that fires, and what changed shortly before.",
)  # fmt: skip


def family_of(alertname: str) -> Family:
    """The family of an alert; `UNKNOWN` if it is of none."""
    return next((family for family in FAMILIES if family.pattern.search(alertname)), UNKNOWN)
