"""Raw results: what each round measured, as JSON, for whoever wants to reckon anew."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """The same as objects, lists, numbers and texts. A tuple with names becomes an object, and NaN becomes null."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.asdict(value))
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return value


def write_json(path: Path, **parts: Any) -> None:
    """Write the parts of a result to a file, replacing it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plain(parts))) + b"\n")
