"""Where an alert leads: its runbook, its dashboard, what sends it, and the form that silences it in Alertmanager.

Texts of an alert are written by others, so only what begins with `http://` or `https://` and names a host is a link.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

LinkKind = Literal["runbook", "dashboard", "panel", "image", "source", "silence", "other"]

_LONGEST = 4096
_MOST_OTHERS = 5
_WRITTEN = re.compile(r"https?://[^\s\x00-\x20\x7f-\x9f<>\"`]+", re.IGNORECASE | re.ASCII)
_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_BY_NAME: Mapping[str, tuple[LinkKind, str]] = {
    "runbook": ("runbook", "Runbook"),
    "dashboard": ("dashboard", "Dashboard"),
    "panel": ("panel", "Panel"),
}
_OF_GRAFANA: Mapping[str, tuple[LinkKind, str]] = {
    "dashboardURL": ("dashboard", "Dashboard in Grafana"),
    "panelURL": ("panel", "Panel in Grafana"),
    "imageURL": ("image", "Image of the panel"),
    "silenceURL": ("silence", "Silence it in Grafana"),
}


class AlertLink(NamedTuple):
    """A link: what it is for, what to call it, and where it leads."""

    kind: LinkKind
    words: str
    url: str


def is_link(text: str) -> bool:
    """Whether a text is an address of the web, whole and nothing else."""
    if len(text) > _LONGEST or _WRITTEN.fullmatch(text) is None:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def alert_links(
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    generator_url: str = "",
    details: Mapping[str, Any] | None = None,
    external_url: str = "",
) -> list[AlertLink]:
    """The links of an alert, each address once, the runbook first and the silence last.

    `details` are what Grafana alone says; `external_url` is that of the Alertmanager that sent the alert.
    """
    links = [*_of_annotations(annotations), *_of_grafana(details or {}), *_of_sender(generator_url)]
    if external_url and not any(link.kind == "silence" for link in links):
        links += _silence(external_url, labels)
    by_url = {link.url: link for link in reversed(links)}
    ordered = sorted((link for link in links if by_url[link.url] is link), key=lambda link: _ORDER.index(link.kind))
    others = [link for link in ordered if link.kind == "other"][_MOST_OTHERS:]
    return [link for link in ordered if link not in others]


_ORDER: tuple[LinkKind, ...] = ("runbook", "dashboard", "panel", "image", "source", "other", "silence")


def silence_url(external_url: str, labels: Mapping[str, str]) -> str:
    """The form for a new silence in Alertmanager's pages, with a matcher for each label."""
    matchers = ",".join(f"{_matcher_name(name)}={_quoted(value)}" for name, value in sorted(labels.items()))
    return f"{external_url.partition('#')[0].rstrip('/')}/#/silences/new?filter={quote(f'{{{matchers}}}', safe='')}"


def _of_annotations(annotations: Mapping[str, str]) -> Iterator[AlertLink]:
    for name, text in annotations.items():
        url = text.strip()
        if is_link(url):
            kind, words = next((known for word, known in _BY_NAME.items() if word in name.lower()), ("other", name))
            yield AlertLink(kind, words, url)


def _of_grafana(details: Mapping[str, Any]) -> Iterator[AlertLink]:
    for name, (kind, words) in _OF_GRAFANA.items():
        url = details.get(name)
        if isinstance(url, str) and is_link(url):
            yield AlertLink(kind, words, url)


def _of_sender(generator_url: str) -> Iterator[AlertLink]:
    if is_link(generator_url):
        yield AlertLink("source", "What sends it", generator_url)


def _silence(external_url: str, labels: Mapping[str, str]) -> Iterator[AlertLink]:
    url = silence_url(external_url, labels)
    if is_link(external_url) and len(url) <= 2 * _LONGEST:
        yield AlertLink("silence", "Silence it in Alertmanager", url)


def _matcher_name(name: str) -> str:
    """A label's name as a matcher of Alertmanager's: what is no plain name stands in quotes."""
    return name if _PLAIN_NAME.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A text in quotes, which hold what Alertmanager reads as Go does: backslash, quote and line feed are escaped."""
    return json.dumps(text, ensure_ascii=False)
