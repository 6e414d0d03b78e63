"""
A request and its answer as vcrpy hands them over, and what can be told from them.

Nothing is changed here, and vcrpy is not imported: it patches HTTP libraries as soon as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from attrs import frozen

from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT, PARTNER_TOKEN_ENDPOINT, SCOPE_PREFIX
from daxko_auth.testing import placeholders
from daxko_auth.testing.bodies import Body, parse


class Recorded(Protocol):
    """A request as vcrpy holds it."""

    @property
    def method(self) -> str:
        """GET, POST and so on."""
        ...

    @property
    def uri(self) -> str:
        """The whole address."""
        ...

    @property
    def body(self) -> object:
        """None, bytes, text, or pieces of them."""
        ...

    @property
    def headers(self) -> Mapping[str, str | bytes]:
        """The headers, whose names have any case."""
        ...

    def __init__(self, method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> None: ...


@frozen
class Asked:
    """The request that the next answer belongs to."""

    path: str = PARTNER_TOKEN_ENDPOINT.path
    #: What stands for the token that is asked for.
    token: str = placeholders.ACCESS_TOKEN
    #: Whether it comes from a cassette, and so does its answer.
    is_recorded: bool = False

    @property
    def is_for_a_token(self) -> bool:
        """Whether it was sent to a token endpoint, whoever's."""
        return self.path.rstrip("/").endswith("/token")


def asked_by(path: str, body: Body) -> Asked:
    """Return what a request asks for; the scope says for which Daxko client."""
    if path == MEMBER_TOKEN_ENDPOINT.path:
        return Asked(path, placeholders.MEMBER_TOKEN)
    scope = next((value for name, value in body.fields() if name == "scope" and isinstance(value, str)), "")
    prefix, _, client_id = scope.rpartition(SCOPE_PREFIX)
    is_client = not prefix and client_id.isascii() and client_id.isdecimal()
    return Asked(path, placeholders.access_token_of(client_id if is_client else ""))


def read(headers: Mapping[str, str], written: bytes | None) -> Body:
    """Read a body by the headers that it came with; nobody reads what is compressed, or not there."""
    body = parse(headers.get("content-type", ""), written or b"")
    if written is None or is_encoded(headers):
        return Body(body.media_type, "unreadable")
    return body


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is compressed, so that nothing can be found in it."""
    return headers.get("content-encoding", "identity") != "identity"


def bytes_of(body: object) -> bytes | None:
    """Return a body in whichever way vcrpy holds it, or None if it cannot be had."""
    match body:
        case None:
            return b""
        case bytes() | bytearray():
            return bytes(body)
        case str():
            return body.encode("utf-8", "surrogateescape")
        case Iterable() if not isinstance(body, Mapping):
            # Files and iterators: those of vcrpy can be read more than once.
            pieces = [bytes_of(piece) for piece in cast("Iterable[object]", body)]
            return None if None in pieces else b"".join(piece for piece in pieces if piece)
        case _:
            return None


def text_of(value: str | bytes) -> str:
    """Return the value of a header."""
    return value if isinstance(value, str) else value.decode("latin-1")
