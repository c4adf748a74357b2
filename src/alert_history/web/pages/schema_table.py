"""JSON Schemas as tables a person can read: what a value is called, what it may be, what it means.

Holds references, choices and ranges of OpenAPI 3.1. Must not know of pages: texts come out as they went in, unescaped.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

_DEEPEST = 12
_TYPE_OF_VALUE = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", type(None): "null"}
_SAMPLES = {"boolean": True, "integer": 1, "number": 1.0, "null": None}
_SAMPLE_OF_FORMAT = {"date-time": "2026-11-24T03:12:45Z", "date": "2026-11-24", "uri": "http://example.com"}
_BOUNDS = (
    ("minimum", "≥ {}"),
    ("exclusiveMinimum", "> {}"),
    ("maximum", "≤ {}"),
    ("exclusiveMaximum", "< {}"),
    ("multipleOf", "multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} entries"),
    ("maxProperties", "at most {} entries"),
    ("pattern", "matches {}"),
)


class Row(msgspec.Struct, frozen=True):
    """One parameter or field. `choices` are all values it may have, if they are few; `place` is path, query or header.

    `tables` hold what is inside it, one for each form it may take.
    """

    name: str
    type: str
    is_required: bool
    default: str
    choices: tuple[str, ...]
    bounds: str
    description: str
    place: str = ""
    tables: "tuple[Table, ...]" = ()


class Table(msgspec.Struct, frozen=True):
    """The fields of one object."""

    name: str
    description: str
    rows: tuple[Row, ...]


class Schemas:
    """The schemas of one document. A type inside itself is named, not unfolded; a reference to nothing is `any`."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def resolve(self, node: Any) -> dict[str, Any]:
        """What a reference stands for; words beside the reference win."""
        followed = set()
        while isinstance(node, dict) and "$ref" in node:
            reference = str(node["$ref"])
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = beside if reference in followed else {**self._at(reference), **beside}
            followed.add(reference)
        return node if isinstance(node, dict) else {}

    def row(self, name: str, schema: Any, *, is_required: bool, place: str = "", within: tuple[str, ...] = ()) -> Row:
        """A field or, with a place, a parameter: that is left out rather than null."""
        plain = self._plain(schema)
        tables = self.tables(schema, within)
        own_words = schema.get("description") if isinstance(schema, dict) else None
        default = plain.get("default")
        return Row(
            name=name,
            type=self.type_of(schema, has_null=not place),
            is_required=is_required,
            default="" if default is None else literal(default),
            choices=_choices(plain),
            bounds=_bounds(plain),
            description=str(own_words or ("" if tables else plain.get("description", ""))),
            place=place,
            tables=tables,
        )

    def tables(self, schema: Any, within: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """The fields inside a value of this schema. `within` are the references that led here."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if reference in within or len(within) > _DEEPEST:
            return ()
        within = (*within, str(reference))
        whole = self._merged(self.resolve(schema))
        if "properties" in whole:
            return (self._table(whole, _name(schema) or str(whole.get("title", "")), within),)
        inner = [*_options(whole), whole.get("items"), whole.get("additionalProperties")]
        tables = (table for part in inner if isinstance(part, dict) for table in self.tables(part, within))
        return tuple(dict.fromkeys(tables))

    def type_of(self, schema: Any, *, has_null: bool = True, depth: int = 0) -> str:
        """The type in words: `string (date-time)`, `array of StoredAlert`, `integer or null`."""
        whole = self._merged(self.resolve(schema))
        if depth > _DEEPEST:
            return "any"
        if options := _options(whole):
            words = [self.type_of(option, depth=depth + 1) for option in options]
        else:
            kinds = _kinds(whole)
            words = [self._kind(kind, whole, name=_name(schema), depth=depth) for kind in kinds] or ["any"]
        return " or ".join(dict.fromkeys(word for word in words if has_null or word != "null"))

    def sample(self, schema: Any, depth: int = 0) -> Any:
        """A value that this schema might have, for examples: its own example, else one made up."""
        plain = self._plain(schema)
        given = [*as_list(plain.get("examples")), *(plain[key] for key in ("example", "const") if key in plain)]
        if chosen := [*given, *as_list(plain.get("enum"))]:
            return chosen[0]
        if plain.get("default") is not None or depth > _DEEPEST:
            return plain.get("default")
        if options := _options(plain):
            return self.sample(options[0], depth + 1)
        return self._made_up(plain, depth)

    def _made_up(self, plain: dict[str, Any], depth: int) -> Any:
        kind = next(iter(_kinds(plain)), "object")
        if kind == "array":
            return [self.sample(plain.get("items"), depth + 1)]
        if kind == "object":
            fields = plain.get("properties", {}).items()
            required = plain.get("required", [name for name, _ in fields])
            return {name: self.sample(schema, depth + 1) for name, schema in fields if name in required}
        if kind == "string":
            return _SAMPLE_OF_FORMAT.get(str(plain.get("format")), "text")
        return max(plain.get("minimum", 1), 1) if kind == "integer" else _SAMPLES.get(kind)

    def _at(self, reference: str) -> dict[str, Any]:
        node: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else {}

    def _merged(self, schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
        """The schema with the parts of its `allOf` poured together."""
        if "allOf" not in schema or depth > _DEEPEST:
            return schema
        parts = [self._merged(self.resolve(part), depth + 1) for part in schema["allOf"]]
        beside = {key: value for key, value in schema.items() if key != "allOf"}
        together: dict[str, Any] = {}
        for part in [*parts, beside]:
            joined = {
                "properties": {**together.get("properties", {}), **part.get("properties", {})},
                "required": [*together.get("required", []), *part.get("required", [])],
            }
            together |= part | {key: value for key, value in joined.items() if value}
        return together

    def _plain(self, schema: Any) -> dict[str, Any]:
        """The schema itself; where it is a choice between null and one thing, that thing."""
        whole = self._merged(self.resolve(schema))
        options = [option for option in _options(whole) if option != {"type": "null"}]
        if len(options) != 1:
            return whole
        beside = {key: value for key, value in whole.items() if key not in ("anyOf", "oneOf")}
        return {**self._merged(self.resolve(options[0])), **beside}

    def _table(self, schema: dict[str, Any], name: str, within: tuple[str, ...]) -> Table:
        required = schema.get("required", ())
        rows = (
            self.row(field, of_field, is_required=field in required, within=within)
            for field, of_field in schema["properties"].items()
        )
        return Table(name, str(schema.get("description", "")), tuple(rows))

    def _kind(self, kind: str, schema: dict[str, Any], *, name: str, depth: int) -> str:
        if kind == "array" and "items" in schema:
            return f"array of {self.type_of(schema['items'], depth=depth + 1)}"
        if kind == "object":
            values = schema.get("additionalProperties")
            if "properties" not in schema and isinstance(values, dict) and values:
                return f"map of {self.type_of(values, depth=depth + 1)}"
            return name or str(schema.get("title", kind))
        return f"{kind} ({schema['format']})" if "format" in schema and kind != "null" else kind


def literal(value: Any) -> str:
    """A value as one would write it: JSON, but a text without quotes unless it is empty."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def as_list(value: Any) -> list[Any]:
    """The list, or none."""
    return value if isinstance(value, list) else []


def _name(schema: Any) -> str:
    """What the reference calls it."""
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    return unquote(str(reference)).rpartition("/")[2]


def _options(schema: Mapping[str, Any]) -> list[Any]:
    return as_list(schema.get("anyOf")) or as_list(schema.get("oneOf"))


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """Its types, as it says or as its values show."""
    kinds = schema.get("type")
    if kinds is not None:
        return kinds if isinstance(kinds, list) else [str(kinds)]
    values = [schema["const"]] if "const" in schema else as_list(schema.get("enum"))
    if not values and "properties" in schema:
        return ["object"]
    return _unique(_TYPE_OF_VALUE.get(type(value), "object") for value in values)


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    values = [schema["const"]] if "const" in schema else as_list(schema.get("enum"))
    items = schema.get("items")
    if not values and isinstance(items, dict):
        values = as_list(items.get("enum"))
    return tuple(literal(value) for value in values if value is not None)


def _bounds(schema: Mapping[str, Any]) -> str:
    """The range in words: `1 to 1000`, `≥ 0`, `at most 64 characters`."""
    bounds = [words.format(schema[key]) for key, words in _BOUNDS if key in schema]
    if "minimum" in schema and "maximum" in schema:
        bounds = [f"{schema['minimum']} to {schema['maximum']}", *(word for word in bounds if word[0] not in "≥≤")]
    return ", ".join(bounds)
