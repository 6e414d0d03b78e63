"""
A secret that does not show itself.

Every credential and token is held in a `Secret` from the moment it is read, and an answer that may
hold one in `MaskedFields`. Whatever prints, logs, formats, dumps or pickles one gets a fingerprint,
names or a refusal; only `reveal()` gives the value.
"""

import secrets
from collections.abc import Iterator, Mapping
from hmac import compare_digest, digest
from typing import Final, NoReturn, Self, final

from daxko_auth.model.hidden_locals import hides_locals

# Keyed with a key of this process, so that a fingerprint in a log can be compared with its
# neighbours but never with a dictionary of guesses, and says nothing about the value's beginning.
_FINGERPRINT_KEY: Final = secrets.token_bytes(16)


def fingerprint(value: bytes) -> str:
    """Return eight hexadecimal digits that stand for `value` in this process and nowhere else."""
    # SHA-256, because builds of OpenSSL for FIPS 140 refuse most others.
    return digest(_FINGERPRINT_KEY, value, "sha256")[:4].hex()


@final
class Secret:
    """A string that only `reveal()` gives away; everything else shows its `fingerprint`."""

    __slots__ = ("_value",)

    _value: str

    @hides_locals
    def __init__(self, value: str) -> None:
        """
        Wrap `value`.

        Raises:
            TypeError: `value` is not a string.
        """
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            msg = f"a secret is a string, not {type(value).__name__}; decode it first"
            raise TypeError(msg)
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """Return the value. Use it inside an expression; do not give it a name."""
        return self._value

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits, the same for equal secrets of this process only."""
        return fingerprint(self._value.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return f"<secret {self.fingerprint}>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    @hides_locals
    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"a secret does not change; {name!r} was not set"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = f"a secret does not change; {name!r} was not deleted"
        raise AttributeError(msg)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        msg = (
            "a secret is not pickled. Let the other process read its own credentials (ApiCredentials.from_env() there, "
            "or the names of files) and ask a TokenSource of its own for tokens"
        )
        raise TypeError(msg)


@final
class MaskedFields(Mapping[str, object]):
    """The fields of an answer. Any of them may be secret, so only their names are shown."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> object:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def secret(self, name: str) -> Secret | None:
        """Return the field `name` if it is a string."""
        match self._fields.get(name):
            case str(value):
                return Secret(value)
            case _:
                return None

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<fields {', '.join(self) or 'none'}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        msg = "the fields of an answer may be secret and are not pickled; pass on the values that are needed, by name"
        raise TypeError(msg)
