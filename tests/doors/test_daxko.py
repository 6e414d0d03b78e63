"""`Daxko` and `AsyncDaxko`: the typed API opened for one Daxko client."""

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from daxko_api.api.members import request_member_token
from daxko_api.api.partners import request_access_token
from daxko_api.errors import UnexpectedBody
from daxko_api.models import AccessTokenRequest, MemberTokenRequest, TokenResponse
from daxko_auth import (
    ApiCredentials,
    AsyncDaxko,
    CredentialsError,
    Daxko,
    MemberLoginRefused,
    MemberToken,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenResponseInvalid,
    TokenSource,
)
from daxko_auth.doors import daxko as daxko_module
from daxko_auth.sandbox import Sandbox

MEMBER = ("member_name", "member_password")


@pytest.fixture(autouse=True)
def no_shared_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test without sources: what tests share by accident is no promise."""
    monkeypatch.setattr(daxko_module, "_shared_sources", {})


@pytest.fixture(params=["thread", "asyncio", "trio"])
def sign_in(request: pytest.FixtureRequest, sandbox: Sandbox, source: TokenSource, credentials: ApiCredentials) -> Any:
    """Sign a member in, in this world."""

    async def asign_in(*member: Any) -> MemberToken:
        async with AsyncDaxko(credentials, 9999, source=source, timeout=0.5) as daxko:
            return await daxko.member_token(*member)

    def sign_in_here(*member: Any) -> MemberToken:
        if request.param != "thread":
            return anyio.run(asign_in, *member, backend=request.param)
        with Daxko(credentials, 9999, source=source, timeout=0.5) as daxko:
            return daxko.member_token(*member)

    return sign_in_here


def logins(sandbox: Sandbox) -> int:
    """Count the member logins that arrived."""
    return sum(arrival.path == "/v3/members/oauth2/token" for arrival in sandbox.log)


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


@pytest.mark.parametrize("style", ["invalid_grant", "invalid_grant_401", "unexplained"])
def test_the_typed_api_repeats_no_failed_login_either(sandbox: Sandbox, source: TokenSource, style: Any) -> None:
    """The same endpoint by another door: a doubled failed login locks people out."""
    sandbox.set_member_refusal(style)
    wrong = MemberTokenRequest("member_name", "wrong")

    async def main() -> None:
        async with AsyncDaxko(source.credentials, 9999, source=source) as daxko:
            await request_member_token.asyncio(client=daxko.api, body=wrong)

    with suppress(UnexpectedBody):  # the unexplained 401 has no body
        anyio.run(main)
    assert logins(sandbox) == 1

    with Daxko(source.credentials, 9999, source=source) as daxko, suppress(UnexpectedBody):
        request_member_token.sync(client=daxko.api, body=wrong)
    assert logins(sandbox) == 2
    assert sandbox.token_requests() == (2 if style == "unexplained" else 1)


def test_the_typed_api_cannot_send_the_refresh_token(sandbox: Sandbox, credentials: ApiCredentials) -> None:
    """Token requests are the source's affair, with its deadline and without the program's hooks."""
    body = AccessTokenRequest("daxko_api_user", "secret", "client:9999")
    with (
        Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko,
        pytest.raises(CredentialsError, match="TokenSource"),
    ):
        request_access_token.sync(client=daxko.api, body=body)
    assert sandbox.log == []


def test_a_member_signs_in(sandbox: Sandbox, sign_in: Any) -> None:
    """Guide, "Access API resource": the second token endpoint, with the access token as bearer."""
    token = sign_in(*MEMBER)

    assert token.expires_in == 86_400
    assert token.reveal().startswith("eyJ")
    assert token.reveal() not in repr(token)
    assert [(arrival.bearer, arrival.body) for arrival in sandbox.log] == [
        ("refresh_token", "multipart"),
        ("access_token", "json"),
    ]


def test_a_member_password_may_come_as_a_secret(sandbox: Sandbox, sign_in: Any) -> None:
    """A web form's password is best wrapped where it is read."""
    assert sign_in("member_name", Secret("member_password"))


def test_unknown_fields_of_a_member_token_are_kept(sandbox: Sandbox, sign_in: Any) -> None:
    """The guide shows no answer; what Daxko adds must not be lost."""
    answer = {"access_token": "t", "expires_in": "60", "token_type": "bearer", "member_id": 7}
    sandbox.fail_next(1, "answer", where="member", body=answer)

    assert sign_in(*MEMBER).other_fields == {"member_id": 7}


@pytest.mark.parametrize("style", ["invalid_grant", "invalid_grant_401"])
def test_a_wrong_member_password_is_the_members_affair(sandbox: Sandbox, sign_in: Any, style: Any) -> None:
    """It must neither be sent twice, which locks people out, nor cost an access token."""
    sandbox.set_member_refusal(style)

    for _ in range(3):
        with pytest.raises(MemberLoginRefused, match="not those of the API account") as raised:
            sign_in("member_name", "wrong")
    assert raised.value.error == "invalid_grant"
    assert logins(sandbox) == 3
    assert sandbox.token_requests() == 1


def test_an_expired_access_token_is_renewed_and_the_login_sent_again(sandbox: Sandbox, sign_in: Any) -> None:
    """The answer says that the access token was the problem, so the member was not judged yet."""
    sign_in(*MEMBER)
    sandbox.expire()

    assert sign_in(*MEMBER)
    assert logins(sandbox) == 3
    assert sandbox.token_requests() == 2


def test_an_unexplained_401_repeats_no_login_and_renews_for_the_next_call(sandbox: Sandbox, sign_in: Any) -> None:
    """It may have been the password: a doubled failed login locks people out. It may have been the token."""
    sandbox.set_member_refusal("unexplained")

    with pytest.raises(MemberLoginRefused, match="or the access token") as raised:
        sign_in("member_name", "wrong")
    assert raised.value.status_code == 401
    assert logins(sandbox) == 1

    assert sign_in(*MEMBER)
    assert sandbox.token_requests() == 2


def test_members_who_mistype_cost_no_storm_of_access_tokens(sandbox: Sandbox, sign_in: Any) -> None:
    """A hundred wrong passwords with unexplained 401s must not be a hundred token requests."""
    sandbox.set_member_refusal("unexplained")
    for _ in range(10):
        with pytest.raises(MemberLoginRefused):
            sign_in("member_name", "wrong")

    assert logins(sandbox) == 10
    assert sandbox.token_requests() == 2


def test_an_access_token_refused_even_when_fresh_is_not_blamed_on_the_member(sandbox: Sandbox, sign_in: Any) -> None:
    """A suspended account; and no storm of logins either."""
    sandbox.reject_all_tokens()

    for _ in range(5):
        with pytest.raises(TokenRefused, match="fresh token") as raised:
            sign_in(*MEMBER)
    assert raised.value.error == "invalid_token"
    assert sandbox.token_requests() == 2
    assert logins(sandbox) == 2 + 4


@pytest.mark.parametrize(
    ("how", "options", "error"),
    [
        ("drop", {}, TokenEndpointUnavailable),
        ("cut", {}, TokenEndpointUnavailable),
        ("status", {"status": 503}, TokenEndpointUnavailable),
        ("status", {"status": 429, "retry_after": 7}, TokenEndpointUnavailable),
        ("html", {}, TokenResponseInvalid),
        ("redirect", {}, TokenResponseInvalid),
        ("hang", {}, TokenEndpointUnavailable),
    ],
)
def test_a_member_login_is_never_repeated_on_a_fault(
    sandbox: Sandbox, sign_in: Any, how: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    """Nobody knows whether the first one counted."""
    sandbox.fail_next(1, how, where="member", **options)

    with pytest.raises(error, match="not repeated"):
        sign_in(*MEMBER)
    assert logins(sandbox) == 1


def test_no_member_password_is_in_an_error_or_a_log(
    sandbox: Sandbox, sign_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors and logs are shown to people who are not the member."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(MemberLoginRefused) as raised:
        sign_in("member_name", "canary-password")

    assert "canary-password" not in caplog.text + str(raised.value) + repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


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


@pytest.mark.parametrize("member", [(None, "canary"), ("name", b"canary"), ("name", None)])
def test_a_member_login_that_is_no_text_is_refused_without_showing_it(sign_in: Any, member: Any) -> None:
    """A password in bytes is a password."""
    with pytest.raises(TypeError, match="are strings") as raised:
        sign_in(*member)

    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in shown.stack if "/daxko_auth/" in frame.filename]
    assert frames
    assert "canary" not in repr([frame.locals for frame in frames])


def test_calls_have_a_time_limit_unless_it_is_taken_away(sandbox: Sandbox, source: TokenSource) -> None:
    """The generator's own default is to wait for ever."""
    credentials = source.credentials
    with Daxko(credentials, 9999, source=source) as daxko:
        assert daxko.http.timeout == httpx.Timeout(30)
        assert daxko.api.get_httpx_client().timeout == httpx.Timeout(30)
    with Daxko(credentials, 9999, source=source, timeout=0.1) as daxko:
        sandbox.fail_next(1, "hang", where="resource")
        with pytest.raises(httpx.ReadTimeout):
            daxko.http.get("/v3/x")
    with Daxko(credentials, 9999, source=source, timeout=None) as daxko:
        assert daxko.http.timeout == httpx.Timeout(None)


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
