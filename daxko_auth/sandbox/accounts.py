"""
The one API account a sandbox knows: its name, its password, its Daxko clients and their members.

It is the account of the vendor's guide unless told otherwise, so that the guide's commands work word
for word. Nothing here is a real credential, and still nothing here shows one.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from daxko_auth.model.secret import Secret
from daxko_auth.model.vendor import (
    EXAMPLE_CLIENT_ID,
    EXAMPLE_MEMBER_NAME,
    EXAMPLE_MEMBER_PASSWORD,
    EXAMPLE_PASSWORD,
    EXAMPLE_USERNAME,
)

#: A second Daxko client, so that mixing up two customers can be seen without asking for more.
SECOND_CLIENT_ID: Final = 1234


def _secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def _clients(numbers: Iterable[int]) -> tuple[int, ...]:
    clients = tuple(numbers)
    # type(), not isinstance(): True is an int too. The values are not quoted: they are not numbers.
    if not all(type(number) is int and number > 0 for number in clients):
        raise ValueError("clients are the numbers of Daxko clients, such as (9999, 1234): whole and above zero")
    return clients


def _members(passwords: Mapping[str, str | Secret]) -> dict[str, Secret]:
    return {name: _secret(password) for name, password in passwords.items()}


@frozen
class Account:
    """An API account and what it is linked to. Not its tokens: those belong to the running sandbox."""

    #: What Daxko calls the username and OAuth calls `client_id`.
    username: str = EXAMPLE_USERNAME
    #: What Daxko calls the password and OAuth calls `client_secret`.
    password: Secret = field(default=Secret(EXAMPLE_PASSWORD), converter=_secret)
    #: The Daxko clients (customer organisations) this account may ask access tokens for.
    clients: tuple[int, ...] = field(default=(EXAMPLE_CLIENT_ID, SECOND_CLIENT_ID), converter=_clients)
    #: The members who can sign in, by name, with their passwords.
    members: dict[str, Secret] = field(
        factory=lambda: {EXAMPLE_MEMBER_NAME: Secret(EXAMPLE_MEMBER_PASSWORD)}, converter=_members
    )

    def knows_member(self, name: str, password: str) -> bool:
        """Return whether a member of that name has that password."""
        held = self.members.get(name)
        return held is not None and held == Secret(password)
