"""Kubernetes' protobuf for the two kinds that kubectl creates so: what it sends when it makes a Namespace or a Secret.

Field numbers are those of the generated.proto files of k8s.io/api and k8s.io/apimachinery.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\0"
_METADATA_TEXTS = {1: "name", 2: "generateName", 3: "namespace"}
_METADATA_MAPS = {11: "labels", 12: "annotations"}


def decode(body: bytes) -> dict[str, Any]:
    """The object as it would be in JSON. Raises: ValueError."""
    if not body.startswith(_MAGIC):
        raise ValueError("not Kubernetes' protobuf")
    envelope = dict(_fields(body[len(_MAGIC) :]))
    kind = dict(_fields(envelope[1]))
    result: dict[str, Any] = {"apiVersion": kind[1].decode(), "kind": kind[2].decode(), "metadata": {}}
    for number, value in _fields(envelope[2]):
        match kind[2], number:
            case _, 1:
                result["metadata"] = _metadata(value)
            case b"Secret", 2:
                _put(result, "data", value, lambda content: b64encode(content).decode())
            case b"Secret", 3:
                result["type"] = value.decode()
            case b"Secret", 4:
                _put(result, "stringData", value, bytes.decode)
    return result


def _metadata(body: bytes) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for number, value in _fields(body):
        if value and number in _METADATA_TEXTS:
            metadata[_METADATA_TEXTS[number]] = value.decode()
        elif number in _METADATA_MAPS:
            _put(metadata, _METADATA_MAPS[number], value, bytes.decode)
    return metadata


def _put(into: dict[str, Any], name: str, entry: bytes, read: Callable[[bytes], str]) -> None:
    """One entry of a map: its key is field 1, its value field 2."""
    pair = dict(_fields(entry))
    into.setdefault(name, {})[pair[1].decode()] = read(pair.get(2, b""))


def _fields(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields with a length; the others are passed over."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        match tag & 7:
            case 0:
                _, at = _varint(body, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                size, at = _varint(body, at)
                yield tag >> 3, body[at : at + size]
                at += size
            case kind:
                raise ValueError(f"no wire type: {kind}")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
