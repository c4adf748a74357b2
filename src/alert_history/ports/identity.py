"""Who else says who a person is: the company's identity provider."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signed in at the provider. `subject` is theirs for good, `name` is what they are called.

    `id_token` is what the provider said, as it said it: it wants to see it again when the person signs out.
    """

    subject: str
    name: str
    groups: Sequence[str]
    id_token: str


class IdentityProvider(Protocol):
    """A provider. Every call may raise ProviderUnavailable, and waits some seconds at most."""

    @property
    def issuer(self) -> str:
        """The address that stands for it."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    async def place(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where a browser signs in. The provider sends it back with the state, and the person with the nonce."""
        ...

    async def redeem(self, code: str, *, nonce: str, verifier: str) -> Person:
        """The person that a code stands for. Raises SignInRefused where what it says is not as it must be."""
        ...

    async def farewell(self, id_token: str) -> str | None:
        """Where a browser signs out of the provider, too; None where the provider has no such place."""
        ...
