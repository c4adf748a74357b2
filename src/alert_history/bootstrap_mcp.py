"""The part of the composition root that makes what programs ask by the Model Context Protocol.

Must not open, start or wait for anything.
"""

from alert_history.bootstrap_statistics import Statistics, make_stories
from alert_history.config import Settings
from alert_history.engine.moments import MomentStates
from alert_history.engine.why import Explaining
from alert_history.mcp.endpoint import Endpoint
from alert_history.mcp.hosts import AllowedHosts
from alert_history.mcp.toolbox import Toolbox
from alert_history.mcp.tools.history import HistoryTools
from alert_history.mcp.tools.moments import MomentTools
from alert_history.mcp.tools.neighbours import NeighbourTools
from alert_history.mcp.tools.night import NightTools
from alert_history.mcp.tools.rules import RuleTools
from alert_history.ports import Clock, Store
from alert_history.urls.hosts import host_of_url, read_host_names


def make_toolbox(
    statistics: Statistics, moments: MomentStates, store: Store, *, explaining: Explaining, clock: Clock
) -> Toolbox:
    """All tools, on one store."""
    stories = make_stories(store, clock=clock)
    rules = RuleTools(
        statistics.noise,
        statistics.flapping,
        rules=statistics.flap_rules,
        default=statistics.flap_default,
        clock=clock,
    )
    return Toolbox(
        [
            *HistoryTools(store.history, stories, explaining, clock=clock).tools(),
            *NeighbourTools(statistics.neighbours).tools(),
            *rules.tools(),
            *NightTools(statistics.nights).tools(),
            *MomentTools(moments, clock=clock).tools(),
        ]
    )


def make_endpoint(settings: Settings, toolbox: Toolbox) -> Endpoint:
    """The tools over HTTP."""
    own = [host_of_url(settings.public_url)] if settings.public_url else []
    hosts = AllowedHosts([*read_host_names(settings.mcp_allowed_hosts), *own])
    return Endpoint(toolbox, hosts=hosts)
