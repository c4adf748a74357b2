"""What must not leave: secrets and personal data, blanked in a text before a model is asked about it.

Every pattern is RE2, so a text takes time linear in its length, however it was made. Secrets become `[secret]`;
addresses become names (`ip-1`, `email-2`) that stay the same within one call, so that the model can still tell them
apart. Redaction finds what looks like a secret; a password inside a sentence looks like any word.
For users: docs/how-to/llm.md.
"""

import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, partial
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol

import re2

SECRET = "[secret]"  # noqa: S105  # what stands in its place
REDACTED = "[redacted]"

_COMPILED_BYTES = 8 << 20
_INVISIBLE = (
    r"[\x{0}-\x{8}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}\x{ad}\x{61c}\x{180e}\x{200b}-\x{200c}\x{200e}\x{200f}"
    r"\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]"
)
_KEY_WORDS = (
    r"pass(?:word|wort|wd|phrase|code)?|pwd|secret|token|api[_.-]?key|access[_.-]?key|account[_.-]?key|private[_.-]?key"
    r"|secret[_.-]?(?:access[_.-]?)?key|signing[_.-]?key|encryption[_.-]?key|shared[_.-]?key|credentials?"
    r"|client[_.-]?secret|session[_.-]?id|sig|signature"
)
_KEY = rf"(?:[\w.-]*[_.-])?(?:{_KEY_WORDS}|\w*(?:password|passwd|secret|token|apikey))(?:[_.-][\w.-]*)?"
_VALUE = r"""\[secret\]|\\*"(?:[^"\\]|\\[^"])*\\*"?|\\*'[^']*'?|[^\s"',;&|)}\]]+"""
_MIN_CARD_DIGITS = 13
_MAX_CARD_DIGITS = 19
_LUHN_DOUBLED_MAX = 9


class _Match(Protocol):
    """What is used of a match; google-re2 has no types."""

    string: str

    def group(self, number: int = 0, /) -> str: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class _Rule(NamedTuple):
    """A pattern, and what takes the place of a match."""

    pattern: Any
    replace: Callable[[_Match, "Redaction"], str]


class Redactor:
    """Blanks what must not leave. `patterns` are further ones (RE2), one a line; blank lines are passed over."""

    def __init__(self, patterns: str | None = None) -> None:
        lines = [line.strip() for line in (patterns or "").splitlines()]
        self._own = [_Rule(_compiled(line), _blanked) for line in lines if line]

    def begin(self) -> "Redaction":
        """The redaction of one call: a value has the same name until the end."""
        return Redaction([*self._own, *_rules()])


class Redaction:
    """The texts of one call. Made by `Redactor.begin`."""

    def __init__(self, rules: Iterable[_Rule]) -> None:
        self._rules = list(rules)
        self._names: dict[tuple[str, str], str] = {}

    def text(self, text: str) -> str:
        """The text without secrets, personal data and invisible characters."""
        text = visible(text)
        for rule in self._rules:
            text = rule.pattern.sub(partial(_replaced, rule.replace, self), text)
        return text

    def pair(self, name: str, value: str) -> tuple[str, str]:
        """A label or annotation. The value goes as a whole if the name says that it is a secret."""
        is_secret = bool(value) and _secret_name().fullmatch(visible(name)) is not None
        return self.text(name), SECRET if is_secret else self.text(value)

    def name(self, kind: str, value: str) -> str:
        """The name that stands for the value: the kind and a number."""
        known = sum(1 for other, _ in self._names if other == kind)
        return self._names.setdefault((kind, value.lower()), f"{kind}-{known + 1}")


def visible(text: str) -> str:
    """The text as a reader sees it: compatible forms as one (NFKC), nothing invisible, no lone surrogates."""
    text = text.encode("utf-8", "replace").decode()
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    shown: str = _invisible().sub("", plain)
    return shown


def hides_something(text: str) -> bool:
    """Whether the text holds characters that no reader sees, other than line ends and tabs."""
    return _invisible().search(text.encode("utf-8", "replace").decode()) is not None


def _replaced(replace: Callable[[_Match, Redaction], str], redaction: Redaction, match: _Match) -> str:
    return replace(match, redaction) if match.group() else ""


# --- What takes the place ---------------------------------------------------------------------------------------------


def _blanked(_match: _Match, _redaction: Redaction) -> str:
    return REDACTED


def _secret(_match: _Match, _redaction: Redaction) -> str:
    return SECRET


def _value_only(match: _Match, _redaction: Redaction) -> str:
    """The first group stays: it says what the secret is for."""
    return f"{match.group(1)}{SECRET}"


def _login(match: _Match, _redaction: Redaction) -> str:
    return f"{match.group(1)}{SECRET}@"


def _if_random(match: _Match, _redaction: Redaction) -> str:
    text = match.group()
    kinds = (str.islower, str.isupper, str.isdigit)
    return SECRET if all(any(map(kind, text)) for kind in kinds) else text


def _card(match: _Match, _redaction: Redaction) -> str:
    digits = [int(char) for char in match.group() if char.isdigit()]
    is_card = _MIN_CARD_DIGITS <= len(digits) <= _MAX_CARD_DIGITS and _is_luhn(digits)
    return "[card]" if is_card else match.group()


def _is_luhn(digits: list[int]) -> bool:
    doubled = [digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(d - 9 if d > _LUHN_DOUBLED_MAX else d for d in doubled)) % 10 == 0


def _email(match: _Match, redaction: Redaction) -> str:
    return redaction.name("email", match.group())


def _phone(match: _Match, redaction: Redaction) -> str:
    return redaction.name("phone", "".join(filter(str.isdigit, match.group())))


def _ip(match: _Match, redaction: Redaction) -> str:
    """A name for an address that stands by itself; times of day, `std::string` and hardware addresses stay."""
    text = match.group()
    start = int(text.startswith(":") and not text.startswith("::"))
    end = len(text) if text.endswith("::") else len(text.rstrip(".:"))
    before = match.string[match.start() - 1 : match.start()] if not start else ""
    after = match.string[match.end() : match.end() + 1] if end == len(text) else ""
    if before.isalnum() or after.isalnum() or not any(map(str.isalnum, text)):
        return text
    try:
        address = ip_address(text[start:end])
    except ValueError:
        return text
    return text[:start] + redaction.name("ip", str(address)) + text[end:]


def _ip_in_a_name(match: _Match, redaction: Redaction) -> str:
    """A name for a host as EC2 names it, `ip-10-0-0-1`: the same as for the address itself."""
    return redaction.name("ip", match.group().removeprefix("ip-").replace("-", "."))


# --- Patterns ---------------------------------------------------------------------------------------------------------


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _COMPILED_BYTES
    options.log_errors = False
    return re2.compile(pattern, options=options)


@cache
def _invisible() -> Any:
    return _compiled(_INVISIBLE)


@cache
def _secret_name() -> Any:
    return _compiled(rf"(?i){_KEY}|(?:proxy-)?authorization|cookie|set-cookie")


@cache
def _rules() -> tuple[_Rule, ...]:
    """The rules in order: longer and surer patterns come first. Compiled once, when first needed."""
    return tuple(_Rule(_compiled(pattern), replace) for pattern, replace in _PATTERNS)


_TOKENS = (
    r"\baht_[\w-]{40,}",  # ours
    r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*",  # JSON web tokens
    r"\b(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[\w-]{30,}|\bya29\.[\w-]{10,}|\bGOCSPX-[\w-]{10,}",  # Google
    r"\bxox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}|\bhooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]+",  # Slack
    r"\bgh[a-z]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bglsa_\w{16,}",  # GitHub, GitLab, Grafana
    r"\b[rs]k[-_][\w-]{16,}|\bnpm_\w{30,}|\bpypi-[\w-]{20,}|\bhvs\.[\w-]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}",
    r"\b\d{8,10}:[\w-]{35}|\bhf_\w{30,}|\bSK[0-9a-f]{32}\b",  # Telegram, Hugging Face, Twilio
)
_PATTERNS: tuple[tuple[str, Callable[[_Match, Redaction], str]], ...] = (
    (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*-----|\z)", _secret),
    (r"""(?i)(\b(?:(?:proxy-)?authorization|(?:set-)?cookie)\\*["']?\s*[:=]\s*\\*["']?)[^\r\n"'\\]+""", _value_only),
    (r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{16,}", _value_only),
    ("|".join(_TOKENS), _secret),
    (r"""(?i)(\b[a-z][a-z0-9+.-]{1,20}://)(?:[^\s/:@"'<>]*:[^\s"'<>]*|[^\s/@"'<>]+)@""", _login),
    (rf"""(?i)(--?{_KEY}(?:\s+|=|\\*["']\s*,\s*))(?:{_VALUE})""", _value_only),
    (r"""((?:^|\s)(?:-u|--user|--proxy-user)(?:\s+|=)["']?[^\s:"']+:)[^\s"']+""", _value_only),
    (rf"""(?i)(\b{_KEY}\\*["']?\s*(?:=>|:=|=~|[:=]|%3d)\s*)(?:{_VALUE})""", _value_only),
    (rf"(?i)(<(?:[\w-]+:)?{_KEY}(?:\s[^<>]*)?>)[^<]+", _value_only),
    (rf"""(?i)((?:парол|токен|секрет)\S{{0,8}}\s*[:=]\s*)(?:{_VALUE})""", _value_only),
    (r"[A-Za-z0-9_-]{40,}", _if_random),
    (r"[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+", _email),
    (r"\b\d(?:[ -]?\d){12,18}\b", _card),
    (r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", _ip),
    (r"(?:\d{1,3}\.){3}\d{1,3}", _ip),
    (r"\bip-(?:\d{1,3}-){3}\d{1,3}\b", _ip_in_a_name),
    (r"\+\d[\d ().-]{6,17}\d|\(\d{3}\) ?\d{3}[ .-]\d{4}\b|\b\d{3}[ .-]\d{3}[ .-]\d{4}\b", _phone),
)
