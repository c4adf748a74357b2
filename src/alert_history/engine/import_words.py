"""What an import is asked, in words without secrets: the command, as it would be typed. Pure.

The words are kept, shown and logged, and the same words are the same import, whoever asks and by which way.
"""

from collections.abc import Mapping, Sequence

from alert_history.ports.imports import DRY_RUN
from alert_history.ports.past_origins import Option, PastOrigin
from alert_history.urls.masking import masked_url

Given = Mapping[str, Sequence[str]]
"""The values of options, by their names."""


def what_of(origin: PastOrigin, given: Given, others: Mapping[str, str | None], *, is_dry_run: bool = False) -> str:
    """The words of an import; `others` are what every origin takes, as `start`."""
    words = [f"{origin.name}{DRY_RUN}" if is_dry_run else origin.name]
    for option in origin.options:
        words += _words(option, given.get(option.name, ()))
    words += [f"--{name} {value}" for name, value in others.items() if value]
    return " ".join(words)


def _words(option: Option, texts: Sequence[str]) -> list[str]:
    if option.kind == "file":
        return list(texts)
    if option.kind == "flag":
        return [f"--{option.name}"] if texts else []
    if option.kind == "pairs":
        return [f"--{option.name} {text.partition('=')[0]}=…" for text in texts]
    if option.kind == "secret":
        return [f"--{option.name}-file …"] if texts else []
    is_url = option.kind == "url"
    return [f"--{option.name} {masked_url(text) if is_url or '://' in text else text}" for text in texts]
