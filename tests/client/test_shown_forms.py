"""Whatever holds a secret, printed in whatever way: a fingerprint, an origin, a scope, and never the secret."""

import pprint
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from daxko_api import AuthenticatedClient
from daxko_api.api.members import request_member_token
from daxko_api.models import AccessTokenRequest, ErrorResponse, MemberTokenRequest, TokenResponse
from daxko_auth import (
    AccessToken,
    ApiCredentials,
    AsyncDaxko,
    ClientScope,
    Daxko,
    DaxkoAuth,
    FileStore,
    MemberToken,
    MemoryStore,
    RedisStore,
    Secret,
    TokenKey,
    TokenSource,
)
from daxko_auth.model.origin import Origin
from daxko_auth.model.vendor import BearerKind
from daxko_auth.policy.flight import State
from daxko_auth.policy.held_token import HeldToken
from daxko_auth.policy.renewal_policy import RenewalPolicy
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.http import BearerAuth

CANARY = "canary-4fd1c8"
URL = "https://api.daxko.com"
REDIS_URL = f"rediss://user:{CANARY}@one/2?ssl_password={CANARY}"
END = datetime(2030, 1, 1, tzinfo=UTC)
CREDENTIALS = ApiCredentials("daxko_api_user", CANARY, f"{CANARY}.refresh")
TOKEN = AccessToken(ClientScope(9999), Secret(CANARY), END, 86_400)
KEY = TokenKey(URL, CREDENTIALS, TOKEN.scope)


def full_store() -> MemoryStore:
    """Make a store with something in it."""
    store = MemoryStore()
    store.write(KEY, TOKEN)
    return store


def full_source() -> TokenSource:
    """Make a source with something in it."""
    source = TokenSource(CREDENTIALS, URL, store=full_store())
    held = HeldToken(TOKEN, RenewalPolicy(), wall=END.timestamp(), monotonic=0)
    source._slot_of(9999).state = State(held)
    return source


HOLDERS: dict[str, Callable[[], object]] = {
    "Secret": lambda: Secret(CANARY),
    "ApiCredentials": lambda: CREDENTIALS,
    "AccessToken": lambda: TOKEN,
    "MemberToken": lambda: MemberToken(Secret(CANARY), END, 86_400, {"refresh_token": CANARY}),
    "TokenKey": lambda: KEY,
    "MemoryStore": full_store,
    "FileStore's insides": lambda: vars(FileStore()),
    "RedisStore": lambda: RedisStore(REDIS_URL),
    "RedisStore's insides": lambda: vars(RedisStore(REDIS_URL)),
    "HeldToken": lambda: full_source()._slot_of(9999).state.held,
    "TokenSource": full_source,
    "TokenSource's insides": lambda: vars(full_source()),
    "DaxkoAuth": lambda: DaxkoAuth(full_source(), 9999),
    "DaxkoAuth's insides": lambda: vars(DaxkoAuth(full_source(), 9999)),
    "BearerAuth": lambda: BearerAuth(BearerKind.REFRESH_TOKEN, Secret(CANARY).reveal, Origin.of(URL)),
    "Daxko": lambda: Daxko(CREDENTIALS, 9999, source=full_source()),
    "Daxko's insides": lambda: vars(Daxko(CREDENTIALS, 9999, source=full_source())),
    "AsyncDaxko": lambda: AsyncDaxko(CREDENTIALS, 9999, source=full_source()),
    "generated client": lambda: AuthenticatedClient(URL, CANARY, headers={"X": CANARY}, cookies={"a": CANARY}),
    "token request": lambda: AccessTokenRequest("user", CANARY, "client:9999"),
    "member request": lambda: MemberTokenRequest("member", CANARY),
    "token response": lambda: TokenResponse.from_dict(
        {"access_token": CANARY, "expires_in": "1", "token_type": "bearer", CANARY: CANARY}
    ),
    "error response": lambda: ErrorResponse(error=CANARY, error_description=CANARY),
}
WAYS: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda holder: f"{holder} {holder!r} {holder!s} {holder!a}",
    "percent": lambda holder: "%s %r" % (holder, holder),  # noqa: UP031 - what old programs do
    "pprint": pprint.pformat,
    "in a list": lambda holder: repr([{"it": (holder,)}]),
}


@pytest.mark.parametrize("show", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)
def test_nothing_that_holds_a_secret_prints_it(make: Callable[[], object], show: Callable[[Any], str]) -> None:
    """Nobody prints a secret on purpose: it is in what a debugger, a log line or a failing assertion shows."""
    assert CANARY not in show(make())


def test_the_answer_of_a_generated_function_prints_no_token(sandbox: Sandbox, source: TokenSource) -> None:
    """It holds the headers and the body, and is what people print first."""
    body = MemberTokenRequest("member_name", "member_password")
    with Daxko(source.credentials, 9999, source=source) as daxko:
        answer = request_member_token.sync_detailed(client=daxko.api, body=body)

    assert isinstance(answer.parsed, TokenResponse)
    for show in WAYS.values():
        assert answer.parsed.access_token not in show(answer)
