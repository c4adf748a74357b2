"""Masks the secrets of a configuration before it is stored or shown; what is left is read as before.

Alertmanager masks most itself. It does not mask the URLs of webhooks (0.25), passwords in URLs of APIs (0.34, too),
headers, what `details` hold. So this masks by the names of fields, and by what secrets look like. Routes, rules and
intervals hold none and stay, names of receivers too. Comments are dropped: nobody knows what they hold. Where the text
can't be read, nothing of it is kept. Must not know what receivers do.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum, auto

from alert_history.domain.alertmanager.yaml_tree import Document, Listing, Node, Scalar, is_merge, read_yaml
from alert_history.errors import InvalidConfiguration

MASK = "<secret>"
_MASKED_USER = "%3Csecret%3E@"
"""Before a host no `<` may stand: Go's parser of URLs, and so amtool, refuses the whole configuration."""

_NOTHING_KEPT = "# nothing is kept of this configuration, because it can't be read: "

_FREE_OF_RECEIVER = frozenset({"name", "labels"})
_PLAIN_HEADERS = frozenset({"accept", "content-type", "user-agent"})
_STRUCTURES = frozenset({"authorization"})
_SHOWN_URLS = frozenset({"client_url", "icon_url", "image_url", "thumb_url", "footer_url", "author_link", "title_link"})

_NO_SECRET_NAME = re.compile(r"_(?:files?|ref|path)$")
_SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase)?(?:$|_)|password|secret|token|credential|api_?key|bearer|cookie|signature"
    r"|^(?:key|auth|authorization|proxy_authorization)$"
    r"|(?:access|service|routing|user|integration|private|signing|license|client|account)_key$"
)
_URL_NAME = re.compile(r"(?:ur[il]|endpoint)s?$")

_URL = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]{0,20}://)(?P<user>[^\s/?#\"']*@)?(?P<host>[^\s/?#@\"']*)"
    r"(?P<path>/[^\s?#\"']*)?(?P<query>\?[^\s#\"']*)?(?P<fragment>#[^\s\"']*)?"
)
_USER_WITHOUT_SECRET = re.compile(rf"[^:@]*:x+@|{_MASKED_USER}")
_PLAIN_STEP = re.compile(r"v[0-9]{1,2}|<secret>|")
_PLAIN_STEPS = frozenset(
    {"alert", "alerts", "alertmanager", "api", "chat.postMessage", "cgi-bin", "default", "enqueue", "events", "generic"}
    | {"hook", "hooks", "incoming", "ingest", "integrations", "20131114", "messages", "notifications", "notify"}
    | {"prometheus", "proxy", "receive", "receiver", "rest", "services", "webhook", "webhooks", "write"}
)
"""What stands in the URLs that Alertmanager has by default, and in those of many receivers."""

_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bx(?:ox[a-z]|app)-[\w-]{8,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\b(?:gh[pousr]_|glpat-|sk-|SG\.)[\w.-]{16,}"
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\bT[A-Z0-9]{5,}/B[A-Z0-9]{5,}/\w{8,}"
    r"|\b[0-9]{6,12}:[\w-]{30,}"
    r"|(?i:\b(?:bearer|basic)\s+[\w+/.=~-]{8,})"
    r"|\b[0-9a-fA-F]{24,}\b"
    r"|(?<![\w+=-])(?=[A-Za-z_+=-]*[0-9])(?=[0-9_+=-]*[A-Za-z])[\w+=-]{32,}",
    re.DOTALL | re.ASCII,
)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_COMMENT = re.compile(r"#[^\n]*")
_BLOCK_COMMENT = re.compile(r"([|>][-+0-9]*)[ \t]+#[^\n]*")


class _Kind(Enum):
    """What is expected of the texts in a part of the tree."""

    TOP = auto()
    RECEIVERS = auto()
    RECEIVER = auto()
    SETTINGS = auto()
    HEADERS = auto()
    LISTED_HEADERS = auto()
    URL = auto()
    SECRET = auto()
    FREE = auto()


_TOP = {
    "receivers": _Kind.RECEIVERS,
    **dict.fromkeys(("route", "inhibit_rules", "mute_time_intervals", "time_intervals", "templates"), _Kind.FREE),
}
_FIELDS = {
    "http_headers": _Kind.HEADERS,
    "proxy_connect_header": _Kind.HEADERS,
    "headers": _Kind.LISTED_HEADERS,  # of an e-mail: texts; of tracing: lists, only some of which are called secrets
    "endpoint_params": _Kind.SECRET,
}


def masked(text: str) -> str:
    """The configuration with `<secret>` for every secret; what was masked before stays as it is.

    A text that can't be read becomes one line of comment that says why.
    """
    try:
        document = read_yaml(text)
    except InvalidConfiguration as error:
        return f"{_NOTHING_KEPT}{error}\n"
    if text.startswith(_NOTHING_KEPT) and document.root is None:
        return text
    changes = dict(_comments(text, document))
    if document.root is not None:
        changes |= _Masker(text).changes(document.root)
    pieces: list[str] = []
    at = 0
    for (begin, end), new in sorted(changes.items()):
        pieces += text[at:begin], new
        at = end
    return "".join([*pieces, text[at:]])


def _comments(text: str, document: Document) -> Iterator[tuple[tuple[int, int], str]]:
    """Comments stand between tokens."""
    at = 0
    for begin, end in [*document.tokens, (len(text), len(text))]:
        for match in _COMMENT.finditer(text, at, max(at, begin)):
            begin_of_gap = at + len(text[at : match.start()].rstrip(" \t"))
            yield (begin_of_gap, match.end()), ""
        at = max(at, end)


class _Masker:
    """Walks the tree. A node that is used twice (an alias) is masked if one of its uses says so."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._changes: dict[tuple[int, int], str] = {}
        self._seen: set[tuple[int, _Kind]] = set()

    def changes(self, root: Node) -> dict[tuple[int, int], str]:
        """What to write where."""
        self._walk(root, _Kind.TOP)
        return self._changes

    def _walk(self, node: Node, kind: _Kind) -> None:
        if (id(node), kind) in self._seen:
            return
        self._seen.add((id(node), kind))
        match node:
            case Scalar():
                self._scalar(node, kind)
            case Listing():
                for item in node.items:
                    self._walk(item, _Kind.RECEIVER if kind is _Kind.RECEIVERS else kind)
            case _:
                for key, value in node.pairs:
                    self._pair(key, value, kind)

    def _pair(self, key: Node, value: Node, kind: _Kind) -> None:
        if not isinstance(key, Scalar):
            self._walk(key, _Kind.SECRET)
            self._walk(value, _Kind.SECRET)
        elif is_merge(key):
            self._walk(value, kind)
        else:
            self._walk(value, _kind_below(kind, key.text, value))

    def _scalar(self, scalar: Scalar, kind: _Kind) -> None:
        new = _masked_text(scalar.text, kind)
        place = (scalar.begin, scalar.end)
        raw = self._text[scalar.begin : scalar.end]
        if new != scalar.text and (kind is _Kind.SECRET or place not in self._changes):
            self._changes[place] = _written(scalar, raw, new)
        elif scalar.style in {"|", ">"} and _BLOCK_COMMENT.match(raw):
            self._changes.setdefault(place, _BLOCK_COMMENT.sub(r"\1", raw, count=1))


def _kind_below(kind: _Kind, name: str, value: Node) -> _Kind:
    """What is expected below a field."""
    word = name.lower().replace("-", "_")
    match kind:
        case _Kind.FREE | _Kind.SECRET:
            return kind
        case _Kind.TOP if name in _TOP:
            return _TOP[name]
        case _Kind.RECEIVER if name in _FREE_OF_RECEIVER:
            return _Kind.FREE
        case _Kind.HEADERS:
            return _Kind.SETTINGS if name.lower() in _PLAIN_HEADERS else _Kind.SECRET
        case _Kind.LISTED_HEADERS if not isinstance(value, Scalar):
            return _kind_below(_Kind.HEADERS, name, value)
        case _:
            return _kind_of_setting(word, value)


def _kind_of_setting(word: str, value: Node) -> _Kind:
    if word in _FIELDS:
        return _FIELDS[word]
    if _NO_SECRET_NAME.search(word) or (word in _STRUCTURES and not isinstance(value, Scalar)):
        return _Kind.SETTINGS
    if _URL_NAME.search(word):
        return _Kind.SETTINGS if word in _SHOWN_URLS else _Kind.URL
    return _Kind.SECRET if _SECRET_NAME.search(word) else _Kind.SETTINGS


def _masked_text(text: str, kind: _Kind) -> str:
    if kind is _Kind.FREE or not text:
        return text
    if kind is _Kind.SECRET:
        return MASK
    if kind is _Kind.URL:
        text = _URL.sub(lambda match: _masked_url(match, is_address=True), text)
    else:
        text = _URL.sub(lambda match: _masked_url(match, is_address=False), text)
    return _SHAPES.sub(MASK, text)


def _masked_url(match: re.Match[str], *, is_address: bool) -> str:
    """The URL without what may be secret: of one that is called all but well-known steps, of one that is shown less."""
    user = match["user"] or ""
    path, query, fragment = match["path"] or "", match["query"] or "", match["fragment"] or ""
    if user and not _USER_WITHOUT_SECRET.fullmatch(user):
        user = _MASKED_USER
    if is_address:
        path = "/".join(map(_masked_step, path.split("/")))
        fragment = f"#{MASK}" if fragment else ""
    parameters = [_masked_parameter(each, is_address=is_address) for each in query[1:].split("&")]
    return f"{match['scheme']}{user}{match['host']}{path}{query[:1]}{'&'.join(parameters)}{fragment}"


def _masked_step(step: str) -> str:
    return step if step in _PLAIN_STEPS or _PLAIN_STEP.fullmatch(step) else MASK


def _masked_parameter(parameter: str, *, is_address: bool) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return MASK if is_address and name else name
    is_secret = is_address or _SECRET_NAME.search(name.lower().replace("-", "_"))
    return f"{name}={MASK}" if value and is_secret else parameter


def _written(scalar: Scalar, raw: str, new: str) -> str:
    """The new text as YAML, with the anchor, the quotes and the end of line of the old one."""
    properties = _PROPERTIES.match(raw)
    before = properties[0] if properties else ""
    after = raw[len(raw.rstrip()) :]
    if scalar.style == "'":
        return f"{before}'{new.replace(chr(39), chr(39) * 2)}'{after}"
    if not scalar.style and (new == MASK or raw.strip() == scalar.text):
        return f"{before}{new}{after}"
    return f"{before}{json.dumps(new, ensure_ascii=False)}{after}"
