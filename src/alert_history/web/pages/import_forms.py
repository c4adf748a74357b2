"""The form that starts an import: a field for each option of an origin, and what it asks for when it is sent.

What was typed stands in the form again when something of it is wrong, but never a secret.
"""

from collections.abc import Mapping, Sequence

import msgspec

from alert_history.engine.import_jobs import AskedImport
from alert_history.engine.import_wishes import ImportWish, file_option
from alert_history.ports.past_origins import Option, PastOrigin
from alert_history.web.api.imports import wish_of_fields

_SET = "yes"
_SHOWN_KINDS = {"text", "url", "secret", "flag", "pairs", "file"}


class Field(msgspec.Struct, frozen=True):
    """One field. `name` is that of the form, `value` what stands in it. `is_again`: it was given, and is not kept."""

    option: Option
    name: str
    value: str = ""
    is_again: bool = False

    @property
    def has_lines(self) -> bool:
        """Whether it takes several values, one a line."""
        return self.option.kind == "pairs" or (self.option.is_repeated and self.option.kind != "file")


class ImportForm(msgspec.Struct, frozen=True):
    """The form of one origin. `first` are the fields that are needed as a rule, `more` the others.

    `elsewhere` are options that only the command line takes, because they name files of its machine.
    """

    origin: PastOrigin
    first: Sequence[Field]
    more: Sequence[Field]
    elsewhere: Sequence[str]
    wish: ImportWish
    fault: str = ""

    @property
    def lacks(self) -> Sequence[str]:
        """What was given before, is not kept, and has to be given again."""
        return [each.option.name for each in (*self.first, *self.more) if each.is_again]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The fields as they stand, for a form that shows none."""
        fields = [(each.name, each.value) for each in (*self.first, *self.more) if each.value]
        texts = [("start", self.wish.start), ("end", self.wish.end), ("scope", self.wish.scope)]
        days = [("keep_days", str(self.wish.keep_days))] if self.wish.keep_days is not None else []
        return [*fields, *((name, text) for name, text in texts if text), *days]


def form_of(origin: PastOrigin, asked: AskedImport | None = None, *, fault: str = "") -> ImportForm:
    """The form, as it was sent before if it was."""
    wish = ImportWish(origin=origin.name) if asked is None else asked.wish
    left_out = () if asked is None else asked.left_out
    fields = [
        _field(option, wish.options.get(option.name, ()), is_again=option.name in left_out, is_new=asked is None)
        for option in origin.options
        if option.kind in _SHOWN_KINDS
    ]
    return ImportForm(
        origin,
        first=[each for each in fields if _is_first(each)],
        more=[each for each in fields if not _is_first(each)],
        elsewhere=[option.name for option in origin.options if option.kind == "path"],
        wish=wish,
        fault=fault,
    )


def wish_of(origin: PastOrigin, fields: Mapping[str, Sequence[str]]) -> ImportWish:
    """What the form asks for. Raises: InvalidBody."""
    options = {
        option.name: texts for option in origin.options if (texts := _texts(option, fields.get(_name(option), ())))
    }
    return wish_of_fields({**fields, "origin": [origin.name]}, options)


def again(wish: ImportWish, origin: PastOrigin, *, has_file: bool) -> AskedImport:
    """What may stand in the form again after it was sent with a fault."""
    kinds = {option.name: option.kind for option in origin.options}
    kept = {name: texts for name, texts in wish.options.items() if kinds.get(name) != "secret"}
    file = file_option(origin)
    files = [file.name] if file is not None and has_file else []
    return AskedImport("", msgspec.structs.replace(wish, options=kept), [*(wish.options.keys() - kept), *files])


def _field(option: Option, texts: Sequence[str], *, is_again: bool, is_new: bool) -> Field:
    value = "\n".join(texts) or (option.default if is_new else "")
    return Field(option, _name(option), value, is_again)


def _is_first(field: Field) -> bool:
    option = field.option
    return (
        option.is_required or option.kind == "file" or field.is_again or option.name in {"url", "database", "api-key"}
    )


def _name(option: Option) -> str:
    return f"option.{option.name}"


def _texts(option: Option, values: Sequence[str]) -> list[str]:
    """The values of an option, as its field was filled in."""
    if option.kind == "pairs" or option.is_repeated:
        return [line.strip() for value in values for line in value.splitlines() if line.strip()]
    if option.kind == "secret":
        return [value.strip("\r\n") for value in values if value.strip("\r\n")]
    if option.kind == "flag":
        return [_SET for value in values[:1] if value]
    return [value.strip() for value in values if value.strip()]
