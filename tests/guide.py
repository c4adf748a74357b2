"""The deployment guide, in both languages, as blocks that tests can run."""

import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = {"en": DOCS / "deployment-guide.md", "ru": DOCS / "deployment-guide.ru.md"}
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CONTINUED = re.compile(r"\\\n\s*")


class Block(NamedTuple):
    """A code block, its indentation taken away."""

    language: str
    text: str


def blocks(language: str = "", *, guide: str = "en") -> list[Block]:
    """The guide's blocks of one language, or all, in order."""
    all_blocks = [Block(m["language"], dedent(m["text"])) for m in _BLOCK.finditer(GUIDES[guide].read_text())]
    return [block for block in all_blocks if language in {"", block.language}]


def block(start: str) -> str:
    """The one block that holds this text."""
    (text,) = [each.text for each in blocks() if start in each.text]
    return text


def commands(program: str) -> list[str]:
    """Every shell command that starts with this program, each on one line."""
    lines = [line.strip() for each in blocks("bash") for line in _CONTINUED.sub(" ", each.text).splitlines()]
    return [line for line in lines if line.startswith(f"{program} ")]
