"""Which Daxko client a token is for: every way to write it, and what is refused."""

import enum
import pickle

import pytest

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.scope import ClientScope

LARGEST = 10**18 - 1


class Club(int, enum.Enum):
    """Numbers with names, as a program may keep them."""

    NORTH = 9999


class ClubText(enum.StrEnum):
    """The same as text."""

    NORTH = "client:9999"


@pytest.mark.parametrize(
    "written", [9999, "9999", "client:9999", ClientScope(9999), ClientScope("9999"), Club.NORTH, ClubText.NORTH]
)
def test_every_documented_spelling_means_the_same_client(written: int | str | ClientScope) -> None:
    """People have the number from a database, a file or the vendor's guide; one cache entry must serve all."""
    scope = ClientScope(written)
    assert scope == ClientScope(9999)
    assert hash(scope) == hash(ClientScope(9999))
    assert scope.client_id == 9999
    assert type(scope.client_id) is int
    assert scope.wire == str(scope) == f"{scope}" == "client:9999"


@pytest.mark.parametrize("number", [1, 10, LARGEST])
def test_the_smallest_and_the_largest_number_are_taken(number: int) -> None:
    """The limits must not cut off a customer."""
    assert ClientScope(number).client_id == ClientScope(str(number)).client_id == number


REFUSED: list[tuple[object, str]] = [
    (True, "a value of type bool"),
    (False, "a value of type bool"),
    (None, "a value of type NoneType"),
    (9999.0, "a value of type float"),
    ([9999], "a value of type list"),
    ({"client": 9999}, "a value of type dict"),
    (b"9999", "a value of type bytes"),
    (0, "a number out of range"),
    (-1, "a number out of range"),
    (-9999, "a number out of range"),
    (LARGEST + 1, "a number out of range"),
    (10**4000, "a number out of range"),
    ("", "a blank string"),
    (" \t", "a blank string"),
    ("0", "a string that is not such a number"),
    ("-1", "a string that is not such a number"),
    ("+9999", "a string that is not such a number"),
    ("09999", "a string that is not such a number"),
    ("9999.0", "a string that is not such a number"),
    ("9_999", "a string that is not such a number"),
    ("9,999", "a string that is not such a number"),
    (" 9999", "a string that is not such a number"),
    ("9999\n", "a string that is not such a number"),
    ("٩٩٩٩", "a string that is not such a number"),
    ("\uff19\uff19\uff19\uff19", "a string that is not such a number"),
    ("9" * 19, "a string that is not such a number"),
    ("9" * 10_000, "a string that is not such a number"),
    ("daxko_api_user", "a username, or a token?"),
    ("read:classes", "a username, or a token?"),
    ("member:auto_login", "a username, or a token?"),
    ("Client:9999", "a string that is not such a number"),
    ("9999 1234", "a string that is not such a number"),
    ("client:", '"client:" followed by something'),
    ("client:client:9999", '"client:" followed by something'),
    ("client: 9999", '"client:" followed by something'),
    ("client:9999\r\nX: y", '"client:" followed by something'),
]


@pytest.mark.parametrize(("written", "kind"), REFUSED, ids=[repr(written)[:30] for written, _ in REFUSED])
def test_what_is_not_one_client_is_refused_with_what_was_expected(written: object, kind: str) -> None:
    """A public script sets "read:classes" and is "still not sure what this should be": the message says it."""
    with pytest.raises(CredentialsError) as caught:
        ClientScope(written)  # type: ignore[arg-type]
    message = str(caught.value)
    assert kind in message
    assert 'such as 9999, "9999" or "client:9999"' in message
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "secret", ["d9a2652cf96d734661c10d5ff2f8061f", "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln", "client:hunter2", "31337x"]
)
def test_a_refusal_never_quotes_what_was_written(secret: str) -> None:
    """A password or a token lands here when arguments change places, and messages go to logs."""
    with pytest.raises(CredentialsError) as caught:
        ClientScope(secret)
    assert secret.removeprefix("client:") not in f"{caught.value} {caught.value!r} {caught.value.args}"


def test_a_scope_is_a_value() -> None:
    """It is a key of caches, and is handed from thread to thread and process to process."""
    scope = ClientScope(9999)
    with pytest.raises(AttributeError):
        scope.client_id = 1234  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(scope)) == scope  # noqa: S301 - our own pickle
    assert len({ClientScope(9999), ClientScope("9999"), ClientScope(1234)}) == 2
    assert repr(scope) == "ClientScope(client_id=9999)"


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (" ", "a blank string"),
        ("user", "a string that is not such a number (a username, or a token?)"),
        (0, "a number out of range"),
        (9.5, "a value of type float"),
        ("client:x", '"client:" followed by something that is not such a number'),
    ],
)
def test_a_refusal_says_what_it_got_and_what_to_pass(written: object, kind: str) -> None:
    """The whole sentence."""
    with pytest.raises(CredentialsError) as caught:
        ClientScope(written)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "the scope is the number of a Daxko client (the customer organisation), such as 9999, "
        f'"9999" or "client:9999"; got {kind}. Pass that number; Daxko tells it to you '
        "when it links your API account to the customer"
    )
