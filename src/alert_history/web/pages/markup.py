"""Plain text as HTML, for templates: paragraphs, code, and where a long name may be broken. Always escaped."""

import re

from markupsafe import Markup, escape

_BREAK = re.compile(r"(?<=\w)(?=[/_.]|-\w)|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word of a name begins. Escaping puts no capital and no separator into a text, so no entity is broken."""


def prose(text: str) -> Markup:
    """Paragraphs, with code in backticks."""
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    return Markup().join(Markup("<p>{}</p>").format(code(part)) for part in paragraphs if part)


def code(text: str) -> Markup:
    """Text on one line, with code in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped just here


def breakable(text: str) -> Markup:
    """A path or a name that may be broken before its separators, and before each word of one in camel case."""
    return Markup(_BREAK.sub("<wbr>", str(escape(text))))  # noqa: S704  # escaped just here
