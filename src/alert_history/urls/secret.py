"""Values that show nothing of themselves: a secret, and URLs in which a password may stand. Pure.

They are no `str`, so whatever prints them (repr, str, format, a log, JSON) prints them masked, and whatever needs the
text has to say so. A setting is secret by its type alone; no list of names is kept.
"""

from typing import TYPE_CHECKING, Any

from alert_history.urls.masking import MASK, masked_url, masked_urls

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class Secret:
    """A text of which nothing is shown. Equal to another of its type with the same text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whoever has to use it."""
        return self._text

    @classmethod
    def masked(cls, text: str) -> str:  # noqa: ARG003  # of the kinds below, it shows a part
        """A text of this kind as everybody may read it."""
        return MASK

    def __str__(self) -> str:
        return self.masked(self._text)

    def __repr__(self) -> str:
        return repr(str(self))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.reveal() == self._text

    def __hash__(self) -> int:
        return hash((type(self), self._text))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """For pydantic: made of a string, and masked in JSON."""
        from pydantic_core import core_schema

        made = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.no_info_before_validator_function(
            lambda value: value.reveal() if type(value) is cls else value,
            made,
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )


class SecretUrl(Secret):
    """A URL in which a password may stand; the rest of it is shown."""

    __slots__ = ()

    @classmethod
    def masked(cls, text: str) -> str:
        """See `masking.masked_url`."""
        return masked_url(text)


class SecretUrls(Secret):
    """URLs with commas between, perhaps with names; passwords may stand in them, and the rest is shown."""

    __slots__ = ()

    @classmethod
    def masked(cls, text: str) -> str:
        """See `masking.masked_urls`."""
        return masked_urls(text)


def revealed(secret: Secret | None) -> str | None:
    """The text, where there is a secret."""
    return None if secret is None else secret.reveal()
