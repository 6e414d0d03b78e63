"""No token is to be had: the caller hears of it in a typed error, and Daxko's API of nothing at all."""

import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from attrs import evolve
from support import PATIENCE, FakeClock

from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    Daxko,
    DaxkoAuthError,
    MemberToken,
    RenewalPolicy,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox import Failure, Sandbox

WRONG_PASSWORD = "canary-of-a-wrong-password"
MEMBER = ("canary-of-a-member", "canary-of-a-members-password")

FailureKind = Callable[[Sandbox, TokenSource], Any]


def failing(failure: Failure) -> FailureKind:
    """Let every token request fail in that way."""
    return lambda sandbox, _: sandbox.fail_next(100, failure)


TROUBLES: dict[str, tuple[FailureKind, type[TokenRequestError]]] = {
    "wrong password": (lambda *_: None, TokenRefused),
    "refused by a page": (failing(Failure("status", 403, html=True)), TokenResponseInvalid),
    "200 with an error": (failing(Failure("answer", body={"error": "locked"})), TokenRefused),
    "down": (failing(Failure("status", 503)), TokenEndpointUnavailable),
    "too many": (failing(Failure("status", 429, retry_after=99)), TokenEndpointUnavailable),
    "silent": (failing(Failure("hang")), TokenEndpointUnavailable),
    "hanging up": (failing(Failure("drop")), TokenEndpointUnavailable),
    "a page": (failing(Failure("html")), TokenResponseInvalid),
    "nothing": (failing(Failure("empty")), TokenResponseInvalid),
    "redirect": (failing(Failure("redirect", 307, location="https://evil.example/")), TokenResponseInvalid),
    "closed": (lambda _, source: source.close(), TokenRequestError),
}


@pytest.fixture
def hopeless(request: pytest.FixtureRequest, sandbox: Sandbox, clock: FakeClock) -> Iterator[TokenSource]:
    """Give a source whose password is wrong and whose patience is short."""
    wrong = ApiCredentials(sandbox.username, WRONG_PASSWORD, sandbox.refresh_token)
    # Only where there is no answer at all may it matter how long a slow machine takes for one.
    hangs = "silent" in request.node.name
    policy = RenewalPolicy(attempt_timeout=0.1 if hangs else PATIENCE, deadline=PATIENCE)
    with TokenSource(wrong, sandbox.base_url, clock=clock, policy=policy) as source:
        yield source


async def _token(daxko: AsyncDaxko) -> object:
    return await daxko._source.atoken(9999)


async def _call(daxko: AsyncDaxko) -> object:
    return await daxko.http.post("/v3/x", content=b"canary-of-a-body")


async def _login(daxko: AsyncDaxko) -> MemberToken:
    return await daxko.member_token(*MEMBER)


ENTRIES = {
    "token": (lambda daxko: daxko._source.token(9999), _token),
    "call": (lambda daxko: daxko.http.post("/v3/x", content=b"canary-of-a-body"), _call),
    "login": (lambda daxko: daxko.member_token(*MEMBER), _login),
}


def enter(world: str, entry: str, source: TokenSource, timeout: float | None = PATIENCE) -> object:
    """Try to get in by a entry, in a world."""
    use, ause = ENTRIES[entry]

    async def task() -> object:
        async with AsyncDaxko(source.credentials, 9999, source=source, timeout=timeout) as daxko:
            return await ause(daxko)

    if world != "thread":
        return anyio.run(task, backend=world)
    with Daxko(source.credentials, 9999, source=source, timeout=timeout) as daxko:
        return use(daxko)


OURS = re.compile(r"/(daxko_auth|daxko_api)/")


def told(error: BaseException) -> str:
    """Return all that anybody can be shown of an error: what it says, holds and came from, and our frames' locals."""
    texts = [str(error), repr(error), repr(error.args), repr(vars(error)), pickle.dumps(error).decode("latin-1")]
    report: traceback.TracebackException | None = traceback.TracebackException.from_exception(
        error, capture_locals=True
    )
    while report is not None:
        texts += [*report.format_exception_only(), *(report.__notes__ or ())]
        texts += [repr(frame.locals) for frame in report.stack if OURS.search(frame.filename)]
        report = report.__cause__ or report.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_token_is_a_typed_error_by_every_door_and_reaches_no_endpoint(
    sandbox: Sandbox, hopeless: TokenSource, world: str, entry: str, trouble: str
) -> None:
    """An empty answer would read as "no programs"; a call without a bearer is a leak of what it asks for."""
    begin, expected = TROUBLES[trouble]
    begin(sandbox, hopeless)

    with pytest.raises(TokenRequestError) as raised:
        enter(world, entry, hopeless)

    assert type(raised.value) is expected
    assert raised.value.scope == "client:9999"
    assert str(raised.value).startswith("no access token for client:9999: ")
    assert {arrival.path for arrival in sandbox.log} <= {PARTNER_TOKEN_ENDPOINT.path}


@pytest.mark.parametrize("world", ["thread", "asyncio"])
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_error_carries_a_secret_or_what_was_sent(
    sandbox: Sandbox, hopeless: TokenSource, world: str, entry: str, trouble: str
) -> None:
    """Errors are pickled by process pools, and sent with the locals of every frame to a server of somebody else's."""
    TROUBLES[trouble][0](sandbox, hopeless)

    with pytest.raises(DaxkoAuthError) as raised:
        enter(world, entry, hopeless)

    shown = told(raised.value)
    assert "canary" not in shown
    for secret in (sandbox.refresh_token, sandbox.refresh_token.rpartition(".")[2]):
        assert secret not in shown
    for attribute in ("request", "response"):
        assert not hasattr(raised.value, attribute)


@pytest.mark.parametrize("timeout", [0.05, 60, None])
def test_a_silent_token_endpoint_is_given_up_whatever_the_time_limit_of_the_call(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, world: str, timeout: float | None
) -> None:
    """The token request has a deadline of its own; httpx gives none to what an auth flow sends."""
    policy = RenewalPolicy(attempts=2, attempt_timeout=0.1)
    sandbox.fail_next(100, "hang")
    with TokenSource(credentials, sandbox.base_url, clock=clock, policy=policy) as source:
        with pytest.raises(TokenEndpointUnavailable, match="did not answer"):
            enter(world, "call", source, timeout)
        clock.pass_time(1)
        sandbox.fail_no_more()
        # It answers now, in however long it takes.
        patient = evolve(policy, attempt_timeout=PATIENCE, deadline=PATIENCE)
        source._renewal = evolve(source._renewal, policy=patient)

        assert enter(world, "call", source, None), "and is asked again later"


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_made_apart_shares_its_tokens_only_where_it_says_so(
    sandbox: Sandbox, credentials: ApiCredentials, shared: bool
) -> None:
    """A Daxko for each request is one token request; two sources are two, because nothing is shared in secret."""
    for _ in range(2):
        source = None if shared else TokenSource(credentials, sandbox.base_url)
        base_url = sandbox.base_url if shared else None
        with Daxko(credentials, 9999, source=source, base_url=base_url) as daxko:
            assert daxko.http.get("/v3/x").status_code == 200
    assert sandbox.token_requests() == (1 if shared else 2)
