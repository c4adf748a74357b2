"""Standings and groups as the text in which they are stored, and how long what was seen of a group is.

Must not know a database: each store has the statements of its own.
"""

from datetime import timedelta

import msgspec

from alert_history.domain.group import SeenGroup
from alert_history.domain.standing import Standing
from alert_history.storage.shared.json_text import encode_json

FORGET_GROUPS_AFTER = timedelta(days=30)
"""How long before standings are forgotten what was seen of groups is."""

_PLAIN_CLAIM = ",false,null,false]],"
_PLAIN_FIRING = ",[],null,null,null,null,false],[],[],null]"
"""What ends the JSON of one claim and of a firing without holding, muting and past, as most are: defaults."""
_RECORDED_ONLY = f"{_PLAIN_CLAIM}[],false{_PLAIN_FIRING}"

read_standing = msgspec.json.Decoder(Standing).decode
read_group = msgspec.json.Decoder(SeenGroup).decode


def standing_json(standing: Standing) -> str:
    """A standing as it is kept, and as `read_standing` takes it: defaults at its end are left out."""
    text = encode_json(standing).decode()
    if text.endswith(_RECORDED_ONLY):
        return text[: -len(_RECORDED_ONLY)] + "]]]]"
    return text[: -len(_PLAIN_FIRING)] + "]]" if text.endswith(_PLAIN_FIRING) else text
