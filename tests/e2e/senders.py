"""The senders of the stage: how each real server is set up, its intervals cut to seconds.

Holds their configurations and how they are started. What they send is decided by the conditions that the stage serves.
Must not know what any scene checks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests import servers
from tests.processes import HOST, Server, free_port

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
OURS = "alert-history"
SENDS_TO = {
    "prometheus-a": (OURS, "alertmanager"),
    "prometheus-b": (OURS, "alertmanager"),
    "mortal": (OURS,),
    "prometheus-c": ("alertmanager", "am-0", "am-1"),
    "prometheus-d": ("restarting",),
    "twin-a": (OURS,),
    "twin-b": (OURS,),
}
"""Each Prometheus, and whom it tells: our services are one name."""

TWINS = ("twin-a", "twin-b")
"""Two that can't be told apart: of one external URL, and as they have one rules file, they evaluate it in step."""

RESEND_OFTEN = ["--rules.alert.resend-delay=1s"]
EVERY_SECOND = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: node
    metrics_path: '{path}'
    static_configs: [{{targets: ['{scraped}']}}]
"""


INHIBITION = """
inhibit_rules:
  - {source_matchers: ['alertname="ClusterDown"'], target_matchers: ['alertname="Inhibited"', 'member="db-1"']}
"""

Urls = Callable[[str], list[str]]
"""A path of ours at each of our services."""


@dataclass(frozen=True)
class Rule:
    """An alerting rule: `alertname` fires while the condition of that name holds, for each of its members.

    `is_by_clock`: it fires from a moment on that all who evaluate it share, for `db-1`, until the condition holds.
    """

    alertname: str
    labels: Mapping[str, str] = field(default_factory=dict)
    pending: str = "0s"
    is_by_clock: bool = False

    def text(self, begins_at: float) -> str:
        """As it stands in a rules file; `begins_at` is that moment."""
        labels = ", ".join(f"{name}: {value}" for name, value in self.labels.items())
        expression = f'condition{{name="{self.alertname}"}} > 0'
        if self.is_by_clock:
            clock = f'label_replace(vector(time() >= bool {begins_at:.0f}), "member", "db-1", "", "")'
            expression = f"{clock} > 0 unless on (member) {expression}"
        rest = f"for: {self.pending}, labels: {{{labels}}}, annotations: {{summary: '{{{{ $labels.member }}}} has it'}}"
        return f"      - {{alert: {self.alertname}, expr: '{expression}', {rest}}}\n"


def rules_file(rules: Iterable[Rule], *, begins_at: float = 0.0) -> str:
    """One group that is evaluated every second."""
    head = "groups:\n  - name: scenes\n    interval: 1s\n    rules:\n"
    return head + "".join(rule.text(begins_at) for rule in rules)


def documented(page: str, key: str, *, nth: int = 0) -> dict[str, Any]:
    """The first configuration on a page of how-tos that has that key at the top; `nth` for a later one."""
    blocks = re.findall(r"```yaml\n(.*?)```", (HOW_TO / page).read_text(), re.DOTALL)
    configs: list[dict[str, Any]] = [yaml.safe_load(block) for block in blocks]
    return [config for config in configs if key in config][nth]


@contextmanager
def prometheus(name: str, rules: Path, *, scraped: str, alerted: Sequence[Server]) -> Iterator[Server]:
    """A Prometheus that scrapes the path of its name; it evaluates every second, and sends every other.

    Whom it tells is written as docs/how-to/connect-sources.md has it.
    """
    alerting = documented("connect-sources.md", "alerting")
    hosts = [urlsplit(server.url).netloc for server in alerted]
    alerting["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": hosts}]
    config = EVERY_SECOND.format(path=f"/{name}", scraped=scraped, rules=rules) + yaml.safe_dump(alerting)
    args = [*RESEND_OFTEN, f"--web.external-url=http://{'twin' if name in TWINS else name}.example.com"]
    with servers.prometheus_server(config, args=args) as server:
        yield server


@contextmanager
def vmalert(rules: Sequence[Rule], *, asked: Server, alerted: Sequence[Server]) -> Iterator[Server]:
    """A vmalert that asks a Prometheus every second."""
    args = [f"-datasource.url={asked.url}", "-external.url=http://vmalert.example.com", "-datasource.lookback=2s"]
    args += [f"-notifier.url={server.url}" for server in alerted]
    with servers.vmalert_server(rules_file(rules), args=args) as server:
        yield server


@contextmanager
def alertmanager(name: str, config: str, *, args: Sequence[str] = (), cluster_address: str = "") -> Iterator[Server]:
    """An Alertmanager that calls itself `name`."""
    words = [f"--web.external-url=http://{name}.example.com", *args]
    with servers.alertmanager_server(config, args=words, cluster_address=cluster_address) as server:
        yield server


@contextmanager
def cluster(urls: Urls) -> Iterator[tuple[Server, Server]]:
    """Two clustered Alertmanagers; the second waits a second for the first."""
    addresses = [f"{HOST}:{free_port()}" for _ in range(2)]
    quick = ["--cluster.peer-timeout=1s", "--cluster.settle-timeout=1s", "--cluster.gossip-interval=50ms"]
    peers = [f"--cluster.peer={address}" for address in addresses]
    routes = _route("proxy", "cluster") + _route("proxy", "contradicted") + _route("scoped", "scoped")
    receivers = _receiver("proxy", urls("/webhook/proxy")) + _receiver("scoped", urls("/webhook/proxy?scope=us-1"))
    config = _routing(routes, receivers)
    with ExitStack() as stack:
        first, second = [
            stack.enter_context(alertmanager(f"am-{i}", config, args=[*quick, *peers], cluster_address=address))
            for i, address in enumerate(addresses)
        ]
        yield first, second


def alertmanagers(urls: Urls) -> dict[str, AbstractContextManager[Server]]:
    """The single ones, not started: one for all ways, one that scenes restart, and those of the documented set-ups."""
    proxy, record = urls("/webhook/proxy"), urls("/webhook")
    routes = (
        _route("proxy", "plain")
        + _route("proxy", "slow", group_interval="10s")
        + _route("proxy", "contradicted")
        + _route("scoped", "scoped")
        + _route("unresolved", "unresolved")
        + _route("truncated", "truncated")
        + _route("one", "twice", **{"continue": "true"})
        + _route("other", "twice")
    )
    receivers = (
        _receiver("proxy", proxy)
        + _receiver("scoped", urls("/webhook/proxy?scope=eu-1"))
        + _receiver("unresolved", proxy, send_resolved="false")
        + _receiver("truncated", proxy, max_alerts="2")
        + _receiver("one", record)
        + _receiver("other", proxy)
    )
    plain = _routing(_route("proxy", "plain"), _receiver("proxy", proxy))
    return {
        "alertmanager": alertmanager("alertmanager", _routing(routes, receivers) + INHIBITION),
        "restarting": alertmanager("restarting", plain),
        "through": alertmanager("through", _as_documented(urls, nth=0)),
        "beside": alertmanager("beside", _as_documented(urls, nth=1)),
    }


def _as_documented(urls: Urls, *, nth: int) -> str:
    """A configuration of docs/how-to/connect-alertmanager.md, but for our address; quick where it names no interval."""
    config = documented("connect-alertmanager.md", "route", nth=nth)
    config["route"] = {"group_wait": "0s", "group_interval": "2s", **config["route"]}
    for receiver in config["receivers"]:
        hooks = receiver.get("webhook_configs", [])
        receiver["webhook_configs"] = [
            {**hook, "url": url} for hook in hooks for url in urls(urlsplit(hook["url"]).path)
        ]
    return yaml.safe_dump(config, sort_keys=False)


def _receiver(name: str, urls: Iterable[str], **settings: str) -> str:
    rest = "".join(f", {key}: {value}" for key, value in settings.items())
    hooks = ", ".join(f"{{url: '{url}'{rest}}}" for url in urls)
    return f"  - {{name: {name}, webhook_configs: [{hooks}]}}\n"


def _route(name: str, way: str, **settings: str) -> str:
    """For alerts with the label `way`."""
    rest = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"    - {{receiver: {name}, matchers: ['way=\"{way}\"']{rest}}}\n"


def _routing(routes: str, receivers: str) -> str:
    """A configuration that looks at its groups every two seconds, and repeats every four."""
    return (
        "route:\n  receiver: nobody\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 2s\n"
        f"  repeat_interval: 4s\n  routes:\n{routes}"
        f"receivers:\n  - {{name: nobody}}\n{receivers}"
    )
