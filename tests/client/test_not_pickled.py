"""What holds secrets, or threads wait for, stays in its process: pickle refuses it and says what to pass instead."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from daxko_api.models.access_token_request import AccessTokenRequest
from daxko_api.models.member_token_request import MemberTokenRequest
from daxko_api.models.token_response import TokenResponse
from daxko_api.types import Response
from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    Daxko,
    DaxkoAuth,
    MemberToken,
    MemoryStore,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

FOR_A_SOURCE = r"in another process make one, from ApiCredentials.from_env\(\) there"
FOR_A_SECRET = r"Let the other process read its own credentials \(ApiCredentials.from_env\(\) there"
FOR_GENERATED = "may hold a secret and is not pickled; pass on the values that are needed, by name"


def member_token(credentials: ApiCredentials, source: TokenSource) -> MemberToken:
    """Sign the guide's member in."""
    with Daxko(credentials, 9999, source=source) as daxko:
        return daxko.member_token("member_name", "member_password")


REFUSED: dict[str, tuple[Callable[[ApiCredentials, TokenSource], Any], str]] = {
    "ApiCredentials": (lambda credentials, _: credentials, FOR_A_SECRET),
    "TokenSource": (lambda _, source: source, FOR_A_SOURCE),
    "DaxkoAuth": (lambda _, source: DaxkoAuth(source, 9999), FOR_A_SOURCE),
    "Daxko": (lambda credentials, source: Daxko(credentials, 9999, source=source), FOR_A_SOURCE),
    "AsyncDaxko": (lambda credentials, source: AsyncDaxko(credentials, 9999, source=source), FOR_A_SOURCE),
    "AccessToken": (lambda _, source: source.token(9999), FOR_A_SECRET),
    "MemberToken": (member_token, FOR_A_SECRET),
    "other_fields": (
        lambda credentials, source: member_token(credentials, source).other_fields,
        "pass on the values that are needed, by name",
    ),
    "MemoryStore": (lambda *_: MemoryStore(), "give each TokenSource the same one"),
    "AccessTokenRequest": (lambda *_: AccessTokenRequest("name", "canary", "client:9999"), FOR_GENERATED),
    "MemberTokenRequest": (lambda *_: MemberTokenRequest("name", "canary"), FOR_GENERATED),
    "TokenResponse": (lambda *_: TokenResponse("canary", "60", "bearer"), FOR_GENERATED),
    "Response": (lambda *_: Response(200, b"canary", {}, None), FOR_GENERATED),
}


@pytest.mark.parametrize(("make", "instead"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_refuses_and_says_what_to_pass_instead(
    credentials: ApiCredentials,
    source: TokenSource,
    make: Callable[[ApiCredentials, TokenSource], Any],
    instead: str,
    protocol: int,
) -> None:
    """Process pools and task queues pickle what they are given, into brokers and files."""
    with pytest.raises(TypeError, match=instead):
        pickle.dumps(make(credentials, source), protocol)


def test_a_spawned_process_is_refused_a_source_and_told_why(credentials: ApiCredentials, source: TokenSource) -> None:
    """The message arrives where the mistake is made, before the other process starts."""
    spawn = multiprocessing.get_context("spawn")
    with pytest.raises(TypeError, match=FOR_A_SOURCE):
        spawn.Process(target=print, args=(source,)).start()
    with pytest.raises(TypeError, match=FOR_A_SECRET):
        spawn.Process(target=print, args=(credentials,)).start()


def test_a_deep_copy_of_a_source_or_an_auth_is_refused(source: TokenSource) -> None:
    """Two sources of one account would ask twice; a copy of a lock guards nothing."""
    for holder in (source, DaxkoAuth(source, 9999), MemoryStore()):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            copy.deepcopy(holder)


def test_values_are_copied_as_themselves(credentials: ApiCredentials, source: TokenSource) -> None:
    """Settings objects are deep-copied all over Python; what never changes need not be another."""
    token = source.token(9999)
    assert copy.deepcopy(credentials) == credentials == copy.copy(credentials)
    assert copy.deepcopy(token) == token == copy.copy(token)


def test_a_copy_of_an_auth_shares_its_source(sandbox: Sandbox, source: TokenSource) -> None:
    """A shallow copy is another name for the same tokens."""
    auth = DaxkoAuth(source, 9999)
    for each in (auth, copy.copy(auth)):
        with httpx.Client(base_url=sandbox.base_url, auth=each, headers={"Accept": "application/json"}) as http:
            assert http.get("/v3/anything").status_code == 200
    assert sandbox.token_requests() == 1
