"""Standings and groups as stored text, and how long a store keeps what was seen of a group.

Must not know a database: each store has its own statements.
"""

from datetime import timedelta

import msgspec

from alert_history.domain.group import SeenGroup
from alert_history.domain.standing import Standing
from alert_history.storage.shared.json_text import encode_json

FORGET_GROUPS_AFTER = timedelta(days=30)
"""How much older than a forgotten standing a forgotten group is."""

_PLAIN_CLAIM = ",false,null,false]],"
_PLAIN_FIRING = ",[],null,null,null,null,false],[],[],null]"
"""The end of the JSON of a claim and of a plain firing, with defaults for hold, muting and past. Most are plain."""
_RECORDED_ONLY = f"{_PLAIN_CLAIM}[],false{_PLAIN_FIRING}"

read_standing = msgspec.json.Decoder(Standing).decode
read_group = msgspec.json.Decoder(SeenGroup).decode


def standing_json(standing: Standing) -> str:
    """A standing as stored text, which `read_standing` reads: without the defaults at its end."""
    text = encode_json(standing).decode()
    if text.endswith(_RECORDED_ONLY):
        return text[: -len(_RECORDED_ONLY)] + "]]]]"
    return text[: -len(_PLAIN_FIRING)] + "]]" if text.endswith(_PLAIN_FIRING) else text
