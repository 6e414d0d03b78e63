"""The errors: the tree that is drawn is the real one, and every error travels whole."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from daxko_auth.model import errors
from daxko_auth.model.errors import DaxkoAuthError, MemberLoginRefused, TokenRequestError

DRAWN = {
    "DaxkoAuthError": ("Exception",),
    "CredentialsError": ("DaxkoAuthError", "ValueError"),
    "UntrustedOriginError": ("DaxkoAuthError",),
    "TokenRequestError": ("DaxkoAuthError",),
    "TokenEndpointUnavailable": ("TokenRequestError",),
    "TokenRefused": ("TokenRequestError",),
    "TokenResponseInvalid": ("TokenRequestError",),
    "MemberLoginRefused": ("DaxkoAuthError",),
    "TokenStoreError": ("DaxkoAuthError",),
}
PUBLIC = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and not name.startswith("_")}


def public_bases(kind: type) -> tuple[str, ...]:
    """Return the nearest ancestors whose names people may write."""
    bases: list[str] = []
    for base in kind.__bases__:
        bases += public_bases(base) if base.__name__.startswith("_") else [base.__name__]
    return tuple(bases)


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    """People read the drawing to decide what to catch."""
    drawn: dict[str, tuple[str, ...]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        # The branches are drawn four columns to a level, below the margin of the docstring.
        node = re.match(r"    (?P<branch>[|` -]*)(?P<name>[A-Z]\w+)(\((?P<also>\w+)\))?(\s{2,}|$)", line)
        if node:
            del path[len(node["branch"]) // 4 :]
            also = (node["also"],) if node["also"] else ()
            drawn[node["name"]] = ((path[-1],) if path else ("Exception",)) + also
            path.append(node["name"])
    assert drawn == {name: public_bases(kind) for name, kind in PUBLIC.items()} == DRAWN


@pytest.mark.parametrize("kind", PUBLIC.values(), ids=PUBLIC)
def test_one_except_clause_catches_everything_of_ours(kind: type[DaxkoAuthError]) -> None:
    """A program that only wants to go on catches the root."""
    with pytest.raises(DaxkoAuthError, match=r"^what happened$"):
        raise kind("what happened")


FIELDS: dict[str, Any] = {
    "scope": "client:9999",
    "status_code": 400,
    "error": "invalid_client",
    "error_description": "It is wrong.",
    "retryable": True,
    "retry_after": 7.0,
}
ANSWERED = [kind for kind in PUBLIC.values() if issubclass(kind, (TokenRequestError, MemberLoginRefused))]


@pytest.mark.parametrize("kind", ANSWERED)
def test_an_error_of_a_request_has_every_field(kind: type[TokenRequestError]) -> None:
    """Nobody should have to parse a message to learn the status."""
    error = kind("message", **FIELDS)
    assert {name: getattr(error, name) for name in FIELDS} == FIELDS
    assert error.args == ("message",)
    bare = kind("message")
    assert (bare.scope, bare.status_code, bare.error, bare.error_description) == ("", None, None, None)
    assert (bare.retryable, bare.retry_after) == (False, None)


def pickled(protocol: int) -> Callable[[Exception], Any]:
    """Return what writes an error down and reads it back."""
    return lambda error: pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own pickle


ROUND_TRIPS: dict[str, Callable[[Exception], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": pickled(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("again", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
@pytest.mark.parametrize("kind", PUBLIC.values(), ids=PUBLIC)
def test_an_error_comes_back_whole(kind: type[DaxkoAuthError], again: Callable[[Exception], Any]) -> None:
    """Process pools send errors as pickles, and each waiting caller raises a copy of one failure."""
    error = kind("message", **(FIELDS if kind in ANSWERED else {}))
    error.add_note("a note")
    twin = again(error)
    assert twin is not error
    assert type(twin) is kind
    assert str(twin) == "message"
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert twin.__notes__ == ["a note"]


def test_settings_are_also_wrong_values() -> None:
    """Frameworks that validate settings catch ValueError."""
    assert issubclass(errors.CredentialsError, ValueError)
    assert not issubclass(TokenRequestError, ValueError)
