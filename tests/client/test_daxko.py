"""`Daxko` and `AsyncDaxko`: the typed API opened for one Daxko client."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from daxko_api import AuthenticatedClient
from daxko_api.api.members import request_member_token
from daxko_api.api.partners import request_access_token
from daxko_api.errors import UnexpectedBody, UnexpectedStatus
from daxko_api.models import AccessTokenRequest, ErrorResponse, MemberTokenRequest, TokenResponse
from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    CredentialsError,
    Daxko,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

MEMBER = ("member_name", "member_password")


def test_http_authenticates_and_speaks_json(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Daxko requires an Accept header; nobody should have to know."""
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        assert daxko.http.get("/v3/programs/locations").json()["client_id"] == 9999

    async def main() -> int:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            return int((await daxko.http.get("/v3/programs/locations")).json()["client_id"])

    assert anyio.run(main) == 9999


def test_the_typed_api_takes_the_same_token(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """The generated functions are there to be used, with types, under the same authentication."""
    body = MemberTokenRequest(*MEMBER)
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        answer = request_member_token.sync(client=daxko.api, body=body)
        assert isinstance(answer, TokenResponse)
        sandbox.expire()
        assert isinstance(
            request_member_token.sync(client=daxko.api.with_headers({"X": "1"}), body=body), TokenResponse
        )

    async def main() -> object:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            return await request_member_token.asyncio(client=daxko.api, body=body)

    assert isinstance(anyio.run(main), TokenResponse)


def test_what_goes_to_this_machine_goes_by_no_proxy(
    sandbox: Sandbox, credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is allowed to loopback because it never leaves the machine. A proxy would be given the bearer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    body = MemberTokenRequest(*MEMBER)
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        assert daxko.http.get("/v3/x").is_success
        assert isinstance(request_member_token.sync(client=daxko.api, body=body), TokenResponse)
        assert not daxko.http.trust_env
        assert not daxko.api.get_httpx_client().trust_env

    async def main() -> object:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            assert (await daxko.http.get("/v3/x")).is_success
            assert not daxko.http.trust_env
            return await request_member_token.asyncio(client=daxko.api, body=body)

    assert isinstance(anyio.run(main), TokenResponse)


def test_the_typed_api_cannot_send_the_refresh_token(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Token requests are the source's affair, with its deadline and without the program's hooks."""
    body = AccessTokenRequest("daxko_api_user", "secret", "client:9999")
    with (
        Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko,
        pytest.raises(CredentialsError, match="TokenSource"),
    ):
        request_access_token.sync(client=daxko.api, body=body)
    assert sandbox.log == []


def test_a_sibling_has_its_own_scope_and_the_same_connections(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Five hundred customers must not be five hundred connection pools."""
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        with daxko.for_scope(1234) as sibling:
            assert sibling.http.get("/v3/x").json()["client_id"] == 1234
            assert sibling._transport is daxko._transport
            assert sibling._source is daxko._source
        assert daxko.http.get("/v3/x").json()["client_id"] == 9999, "a sibling's end is not the family's"

    async def main() -> list[int]:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            async with daxko.for_scope(1234) as sibling:
                first = (await sibling.http.get("/v3/x")).json()["client_id"]
            return [first, (await daxko.http.get("/v3/x")).json()["client_id"]]

    assert anyio.run(main) == [1234, 9999]


def test_objects_made_apart_share_one_token_request(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A web handler that makes one per request is the commonest way to lose a cache."""
    for _ in range(3):
        with Daxko(ApiCredentials.from_env(_as_env(credentials)), 9999, base_url=sandbox.base_url) as daxko:
            daxko.http.get("/v3/x")

    async def main() -> None:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url + "/") as daxko:
            await daxko.http.get("/v3/x")

    anyio.run(main)
    assert sandbox.token_requests() == 1


def test_objects_made_at_the_same_moment_share_one_source(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """The first second of a server is when handlers race."""
    sandbox.hold()

    def first_call(_: int) -> int:
        with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            return daxko.http.get("/v3/x").status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = pool.map(first_call, range(16))
        sandbox.wait_for_token_requests(1)
        sandbox.release()
        assert set(statuses) == {200}
    assert sandbox.token_requests() == 1


def test_another_password_or_host_is_another_source(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A rotated password must not be answered from the old one's tokens, nor one host from another's."""
    rotated = ApiCredentials(sandbox.username, "rotated", sandbox.refresh_token)
    with (
        Daxko(credentials, 9999, base_url=sandbox.base_url) as one,
        Daxko(rotated, 9999, base_url=sandbox.base_url) as other,
        Daxko(credentials, 9999, base_url="https://api.daxko.com") as elsewhere,
    ):
        assert len({id(daxko._source) for daxko in (one, other, elsewhere)}) == 3


def test_a_source_that_does_not_fit_is_refused(
    sandbox: Sandbox, source: TokenSource, credentials: ApiCredentials
) -> None:
    """Two sources of truth about the account or the origin are one too many."""
    other = ApiCredentials("somebody", "else", "refresh")
    with pytest.raises(CredentialsError, match="other credentials"):
        Daxko(other, 9999, source=source)
    with pytest.raises(CredentialsError, match="leave base_url= out"):
        Daxko(credentials, 9999, source=source, base_url="https://api.daxko.com")
    Daxko(credentials, 9999, source=source, base_url=sandbox.base_url).close()


def test_a_closed_daxko_says_so_in_every_part(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """A connection pool that comes back to life after its end is a leak."""
    member = MemberTokenRequest(*MEMBER)
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        sibling = daxko.for_scope(1234)
        copied = daxko.api.with_timeout(httpx.Timeout(1))
    for use in (
        lambda: daxko.http.get("/v3/x"),
        lambda: sibling.http.get("/v3/x"),
        lambda: request_member_token.sync(client=daxko.api, body=member),
        lambda: request_member_token.sync(client=copied, body=member),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()
    with pytest.raises(TokenRequestError, match="RuntimeError"):
        daxko.member_token(*MEMBER)
    daxko.close()

    async def main() -> None:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as adaxko:
            asibling = adaxko.for_scope(1234)
        for http in (adaxko.http, asibling.http):
            with pytest.raises(RuntimeError, match="closed"):
                await http.get("/v3/x")
        await adaxko.aclose()

    anyio.run(main)


def test_calls_have_a_time_limit_unless_it_is_taken_away(sandbox: Sandbox, source: TokenSource) -> None:
    """The generator's own default is to wait for ever."""
    credentials = source.credentials
    with Daxko(credentials, 9999, source=source) as daxko:
        assert daxko.http.timeout == httpx.Timeout(30)
        assert daxko.api.get_httpx_client().timeout == httpx.Timeout(30)
    with Daxko(credentials, 9999, source=source, timeout=0.1) as daxko:
        sandbox.fail_next(1, "hang", where="resource")
        with pytest.raises(httpx.TimeoutException):
            daxko.http.get("/v3/x")
    with Daxko(credentials, 9999, source=source, timeout=None) as daxko:
        assert daxko.http.timeout == httpx.Timeout(None)


def test_calls_of_tasks_have_a_time_limit_unless_it_is_taken_away(sandbox: Sandbox, source: TokenSource) -> None:
    """The same for the other side."""

    async def main() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            assert daxko.http.timeout == httpx.Timeout(30)
            assert daxko.api.get_async_httpx_client().timeout == httpx.Timeout(30)
        async with AsyncDaxko(source.credentials, 9999, source=source, timeout=0.1) as daxko:
            sandbox.fail_next(2, "hang", where="resource")
            with pytest.raises(httpx.TimeoutException):
                await daxko.http.get("/v3/x")
            with pytest.raises(httpx.TimeoutException):
                await daxko.api.get_async_httpx_client().get("/v3/x")
        async with AsyncDaxko(source.credentials, 9999, source=source, timeout=None) as daxko:
            assert daxko.http.timeout == httpx.Timeout(None)

    anyio.run(main)


WRONG_TIMEOUTS = [
    "5",
    timedelta(seconds=5),
    True,
    (5, 5, 5, 5),
    0,
    -1,
    float("nan"),
    float("inf"),
    1e12,
    httpx2.Timeout(5),
    httpx.Timeout("5"),  # type: ignore[arg-type]
    httpx.Timeout(5, read=-1),
    httpx.Timeout(5, connect=float("nan")),
]


@pytest.mark.parametrize("timeout", WRONG_TIMEOUTS, ids=repr)
@pytest.mark.parametrize("kind", [Daxko, AsyncDaxko])
def test_a_time_limit_that_is_none_is_refused_where_it_is_written(source: TokenSource, kind: Any, timeout: Any) -> None:
    """The first call would end in an error of the socket's: httpx takes anything."""
    with pytest.raises(
        (TypeError, ValueError), match=r"^timeout is a number of seconds above zero .* an httpx\.Timeout"
    ):
        kind(source.credentials, 9999, source=source, timeout=timeout)


@pytest.mark.parametrize("timeout", [5, 0.5, httpx.Timeout(5, pool=0), httpx.Timeout(None), None])
def test_any_other_time_limit_is_taken_as_it_is(source: TokenSource, timeout: Any) -> None:
    """A pool that is waited for no time at all has a meaning."""
    with Daxko(source.credentials, 9999, source=source, timeout=timeout) as daxko:
        assert daxko.http.timeout == httpx.Timeout(timeout)


def test_the_typed_api_of_the_other_kind_is_named(sandbox: Sandbox, source: TokenSource) -> None:
    """The generated functions of both kinds take either, and the types cannot tell."""
    body = MemberTokenRequest(*MEMBER)

    async def awaiting(api: AuthenticatedClient, *, entered: bool) -> object:
        if entered:
            async with api:
                return await request_member_token.asyncio(client=api, body=body)
        return await request_member_token.asyncio(client=api, body=body)

    for entered in (False, True):
        daxko = Daxko(source.credentials, 9999, source=source)
        with pytest.raises(TypeError, match=r"use AsyncDaxko\.api"):
            anyio.run(partial(awaiting, entered=entered), daxko.api)
        daxko.close()

    for entered in (False, True):
        api = AsyncDaxko(source.credentials, 9999, source=source).api
        with api if entered else nullcontext(), pytest.raises(TypeError, match=r"use Daxko\.api"):
            request_member_token.sync(client=api, body=body)
    assert sandbox.log == []


COPIES: dict[str, Callable[[AuthenticatedClient], AuthenticatedClient]] = {
    "with_headers": lambda api: api.with_headers({"X-Copy": "yes"}),
    "with_cookies": lambda api: api.with_cookies({"copy": "yes"}),
    "with_timeout": lambda api: api.with_timeout(httpx.Timeout(7)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_the_typed_api_authenticates_and_leaves_the_original_as_it_was(
    sandbox: Sandbox, credentials: ApiCredentials, copied: Callable[[AuthenticatedClient], AuthenticatedClient]
) -> None:
    """Elsewhere the copy lost its auth without a word, and the original got the copy's headers."""

    def settings(http: httpx.Client | httpx.AsyncClient) -> tuple[object, ...]:
        return dict(http.headers), dict(http.cookies), http.timeout

    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        before = settings(daxko.api.get_httpx_client())
        copy = copied(daxko.api)
        for _ in range(2):
            assert copy.get_httpx_client().get("/v3/x").json()["client_id"] == 9999
            sandbox.expire()
        assert settings(copy.get_httpx_client()) != before
        assert settings(daxko.api.get_httpx_client()) == before

    async def main() -> None:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            before = settings(daxko.api.get_async_httpx_client())
            copy = copied(daxko.api)
            for _ in range(2):
                assert (await copy.get_async_httpx_client().get("/v3/x")).json()["client_id"] == 9999
                sandbox.expire()
            assert settings(copy.get_async_httpx_client()) != before
            assert settings(daxko.api.get_async_httpx_client()) == before

    anyio.run(main)


@pytest.mark.parametrize("status", [299, 401, 403, 404, 418, 429, 499, 500, 520, 561])
@pytest.mark.parametrize("body", [{"error": "daxko_new_code", "new": [1]}, "<html>busy</html>"], ids=["JSON", "HTML"])
def test_the_typed_api_knows_no_status_that_is_nothing(
    sandbox: Sandbox, source: TokenSource, status: int, body: object
) -> None:
    """None would read as "no such member"; a ValueError from deep inside as a mistake of the caller's."""
    login = MemberTokenRequest(*MEMBER)

    async def main() -> object:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            return await request_member_token.asyncio(client=daxko.api, body=login)

    def threads() -> object:
        with Daxko(source.credentials, 9999, source=source) as daxko:
            return request_member_token.sync(client=daxko.api, body=login)

    def outcome_of(ask: Callable[[], object]) -> object:
        sandbox.fail_next(1, "answer", where="member", status=status, body=body)
        try:
            return ask()
        except (UnexpectedStatus, UnexpectedBody) as error:
            return error

    for ask in (threads, partial(anyio.run, main)):
        outcome = outcome_of(ask)
        if isinstance(outcome, UnexpectedStatus | UnexpectedBody):
            assert outcome.status_code == status
        else:
            assert isinstance(outcome, ErrorResponse)
            assert outcome.error == "daxko_new_code"


def test_reprs_show_scope_and_origin_and_no_secret(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """They end up in logs and tracebacks."""
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        assert repr(daxko) == f"<Daxko for client:9999 at {sandbox.base_url}>"
        assert sandbox.refresh_token not in repr(vars(daxko))

    async def main() -> str:
        async with AsyncDaxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
            return repr(daxko)

    assert anyio.run(main) == f"<AsyncDaxko for client:9999 at {sandbox.base_url}>"


def _as_env(credentials: ApiCredentials) -> dict[str, str]:
    return {
        "DAXKO_USERNAME": credentials.username,
        "DAXKO_PASSWORD": credentials.password.reveal(),
        "DAXKO_REFRESH_TOKEN": credentials.refresh_token.reveal(),
    }
