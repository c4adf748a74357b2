"""Which Alertmanager clusters hold an alert, by who told us of it."""

from collections.abc import Sequence

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.domain.standing import Witnesses
from alert_history.engine.listing import api_sender

GRAFANA = "grafana"


class Attribution:
    """Says which clusters hold an alert. `names` are those that are known.

    What Grafana sent is in none. What nobody can attribute may be in each, and so it is: an alert that is shown twice
    harms nobody, one that is missing does.
    """

    def __init__(self, names: Sequence[str], witnesses: Witnesses) -> None:
        self._names = tuple(names)
        self._witnesses = witnesses
        self._clusters = {witnesses.of(api_sender(name)): name for name in names}

    def clusters(self, alert: MomentAlert) -> Sequence[str]:
        """The clusters that hold it, as far as is known."""
        if alert.source == GRAFANA:
            return ()
        return self._names if len(self._names) == 1 else self.sure(alert) or self._names

    def sure(self, alert: MomentAlert) -> Sequence[str]:
        """The clusters that are known to hold it; none where nobody can say."""
        wholes = {self._witnesses.of(witness) for witness in alert.witnesses}
        return [name for whole, name in self._clusters.items() if whole in wholes]
