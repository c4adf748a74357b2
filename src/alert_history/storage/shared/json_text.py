"""Values as the JSON text that a column holds."""

from typing import Any

import msgspec

encode_json = msgspec.json.Encoder().encode


def json_or_none(value: Any) -> str | None:
    """A value as JSON text; None stays NULL."""
    return None if value is None else encode_json(value).decode()
