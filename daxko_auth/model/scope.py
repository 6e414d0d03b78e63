"""
Which Daxko client (customer organisation) a token may act for.

RFC 6749 calls this parameter `scope` and means permissions; Daxko puts the number of a customer in
it. This module turns what people write into that one value, and refuses what cannot be one.
"""

import re
from abc import ABC, abstractmethod
from typing import Final

from attrs import frozen

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.vendor import SCOPE_PREFIX

# Numbers as Daxko issues them: no sign, no leading zero, no more digits than a 64-bit integer has.
_CLIENT_ID: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_TOO_LARGE: Final = 10**18


def _client_id_of(written: object) -> int | None:
    match written:
        case ClientScope():
            return written.client_id
        case bool():
            pass
        case int():
            if 0 < written < _TOO_LARGE:
                # A member of an enum of numbers is written to the wire by its name; its number is not.
                return int(written)
        case str():
            digits = written.removeprefix(SCOPE_PREFIX)
            if _CLIENT_ID.fullmatch(digits):
                return int(digits)
        case _:
            pass
    return None


def _kind_of(written: object) -> str:
    if isinstance(written, str):
        if not written.strip():
            return "a blank string"
        if written.startswith(SCOPE_PREFIX):
            return f'"{SCOPE_PREFIX}" followed by something that is not such a number'
        return "a string that is not such a number (a username, or a token?)"
    if isinstance(written, int) and not isinstance(written, bool):
        return "a number out of range"
    return f"a value of type {type(written).__name__}"


class Scope(ABC):
    """The one customer organisation that a token may act for. Equal scopes share a token."""

    __slots__ = ()

    @property
    @abstractmethod
    def wire(self) -> str:
        """The value of the `scope` parameter."""

    @property
    @abstractmethod
    def customer_id(self) -> str:
        """How Daxko names the customer organisation: letters, digits, `-` and `_`."""

    def __str__(self) -> str:
        return self.wire


@hides_locals
@frozen(init=False, repr=False)
class ClientScope(Scope):
    """The one Daxko client a token may act for; sent as `scope`. Not a list of permissions."""

    #: The number Daxko gave the customer organisation, e.g. 9999.
    client_id: int

    def __init__(self, client_id: "int | str | Scope") -> None:
        """
        Take `9999`, `"9999"`, `"client:9999"` or another ClientScope.

        Raises:
            CredentialsError: it is anything else.
        """
        number = _client_id_of(client_id)
        if number is None:
            # Never what was passed: a password or a token may have landed here by mistake.
            msg = (
                "the scope is the number of a Daxko client (the customer organisation), such as 9999, "
                f'"9999" or "client:9999"; got {_kind_of(client_id)}. Pass that number; Daxko tells it to you '
                "when it links your API account to the customer"
            )
            raise CredentialsError(msg)
        object.__setattr__(self, "client_id", number)

    @property
    def wire(self) -> str:
        """The value of the `scope` parameter: `client:9999`."""
        return f"{SCOPE_PREFIX}{self.client_id}"

    @property
    def customer_id(self) -> str:
        """The number of the Daxko client: `9999`."""
        return str(self.client_id)

    def __repr__(self) -> str:
        return f"ClientScope(client_id={self.client_id})"


#: What every public function that asks for a scope takes.
ScopeLike = Scope | int | str
