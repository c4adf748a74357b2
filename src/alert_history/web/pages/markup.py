"""Plain text as HTML, for templates: paragraphs, code, and where a long name may be broken. Always escaped."""

import re

from markupsafe import Markup, escape


def prose(text: str) -> Markup:
    """Paragraphs, with code in backticks."""
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    return Markup().join(Markup("<p>{}</p>").format(code(part)) for part in paragraphs if part)


def code(text: str) -> Markup:
    """Text on one line, with code in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped just here


def breakable(text: str) -> Markup:
    """A path or a name that may be broken before its separators."""
    return Markup(re.sub(r"(?<=\w)([/_.]|-(?=\w))", r"<wbr>\1", str(escape(text))))  # noqa: S704  # escaped just here
