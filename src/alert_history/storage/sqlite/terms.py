"""SQLite: the terms by which the full-text index `alert_terms` finds an occurrence.

Must stay small: the process that only writes imports it.
"""

import sqlite3
from binascii import crc32
from collections.abc import Mapping
from functools import lru_cache

from alert_history.domain.speaker import SCOPE_MARK, split_scope

MERGES = 2
"""How often the index is merged in one turn."""

_MERGE_PAGES = 64


def terms_of(fingerprint: str, labels: Mapping[str, str]) -> str:
    """The terms of an alert in `alert_terms`, which find it: its fingerprint and a hash of each label."""
    return " ".join([fingerprint_term(fingerprint), *(label_term(*pair) for pair in labels.items())])


def fingerprint_term(fingerprint: str) -> str:
    """A fingerprint of any scope as a term, which is one word to FTS5 whatever text a caller asks for."""
    if SCOPE_MARK in fingerprint:
        fingerprint, _ = split_scope(fingerprint)
    is_word = fingerprint.isascii() and fingerprint.isalnum()
    return f"f{fingerprint}" if is_word else f"f{crc32(fingerprint.encode()):x}"


@lru_cache(maxsize=16_384)  # most labels of an alert are those of others
def label_term(name: str, value: str) -> str:
    """A label as a term of 32 bits: a caller that finds a row by the term must compare the label, too."""
    return f"l{crc32(f'{name}={value}'.encode()):x}"


def merge_terms(connection: sqlite3.Connection) -> bool:
    """Merge some pages of the index; returns whether there were any (by the documentation of FTS5: ≥ 2 changes)."""
    before = connection.total_changes
    connection.execute("INSERT INTO alert_terms (alert_terms, rank) VALUES ('merge', ?)", (_MERGE_PAGES,))
    return connection.total_changes - before > 1
