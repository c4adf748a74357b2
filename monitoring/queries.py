"""PromQL of the dashboard's panels: what the reader chose, summed over processes."""

from monitoring.grafana import Query

# What the reader chose.
OF = 'job=~"$job", namespace=~"$namespace", pod=~"$pod"'
CONTAINER = 'namespace=~"$namespace", pod=~"$pod", container="alert-history"'
AUTOSCALER = 'namespace=~"$namespace", horizontalpodautoscaler=~".*alert-history.*"'
VOLUME = 'namespace=~"$namespace", persistentvolumeclaim=~".*alert-history.*"'
INGEST = 'endpoint=~"/webhook.*|/api/v2/alerts"'
TARGET = 'target=~"$target"'
TRIED = 'status=~"success|failure|dead"'


def metric(name: str, *more: str) -> str:
    """A metric of ours, of the chosen processes."""
    return f"alert_history_{name}{{{', '.join([OF, *more])}}}"


def rate(name: str, *more: str, by: str = "") -> str:
    """What a counter gains a second, summed over processes."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric(name, *more)}[$__rate_interval]))"


def gain(name: str, window: str, *more: str, by: str = "") -> str:
    """What a counter gained in a window, summed over processes."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (increase({metric(name, *more)}[{window}]))"


def quantile(share: float, name: str, *more: str, by: str = "") -> str:
    """A quantile of a histogram over all processes."""
    grouped = rate(f"{name}_bucket", *more, by=", ".join(filter(None, [by, "le"])))
    return f"histogram_quantile({share}, {grouped})"


def quantiles(name: str, *more: str) -> list[Query]:
    """Half, nearly all and all but one in a hundred."""
    return [Query(quantile(share, name, *more), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]


def worst(name: str, *more: str, by: str = "target") -> str:
    """The largest value that any process tells."""
    return f"max by ({by}) ({metric(name, *more)})"


def share(part: str, whole: str) -> str:
    """A part of a whole; nothing where the whole is nothing."""
    return f"({part}) / ({whole} > 0)"
