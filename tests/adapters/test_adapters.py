"""One contract for every HTTP library: which bearer, which origin, which 401 is answered with a replay."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from adapters.drivers import DRIVERS, Answer
from raw_server import RawServer, answer, saying
from support import PATIENCE, FakeClock, finish_renewals

from daxko_auth import (
    AccessToken,
    AiohttpAuth,
    CredentialsError,
    DaxkoAuth,
    Httpx2Auth,
    RequestsAuth,
    TokenRefused,
    TokenSource,
    UntrustedOriginError,
)
from daxko_auth.sandbox import Failure, Sandbox

PATH = "/v3/programs/locations"
MEMBERS = "/v3/members/oauth2/token"

Send = Callable[..., Answer]


@pytest.fixture(params=DRIVERS)
def send(request: pytest.FixtureRequest, source: TokenSource, sandbox: Sandbox) -> Send:
    """Send with this library, to a path of the sandbox or to a whole URL."""
    driver = DRIVERS[request.param]

    def to_sandbox(method: str, url: str, *, scope: object = 9999, **options: object) -> Answer:
        return driver(source, scope, method, url if "://" in url else f"{sandbox.base_url}{url}", **options)

    return to_sandbox


@pytest.fixture
def stranger() -> Iterator[Sandbox]:
    """Run a server that is not Daxko's."""
    with Sandbox() as running:
        yield running


def bearers(sandbox: Sandbox) -> list[str]:
    """Return which bearers arrived, the token requests' aside."""
    return [arrival.bearer for arrival in sandbox.log if not arrival.is_token_request]


class TestContract:
    """What every adapter keeps."""

    def test_calls_share_one_token(self, send: Send, sandbox: Sandbox) -> None:
        """A token per call is what these libraries' own examples do."""
        assert [send("GET", PATH).status for _ in range(3)] == [200] * 3
        assert bearers(sandbox) == ["access_token"] * 3
        assert sandbox.token_requests() == 1

    def test_an_expired_token_is_replaced_and_the_call_replayed_with_its_body(
        self, send: Send, sandbox: Sandbox
    ) -> None:
        """Neither the caller nor what is written notices."""
        before = send("POST", PATH, json={"a": 1})
        sandbox.expire()
        after = send("POST", PATH, json={"a": 1})

        assert (before.status, after.status) == (200, 200)
        assert json.loads(after.text)["body"] == json.loads(before.text)["body"]
        assert sandbox.token_requests() == 2
        assert bearers(sandbox) == ["access_token"] * 3

    def test_a_body_that_cannot_be_sent_twice_is_not(
        self, send: Send, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Half a body, or none, would be worse than a 401; the next call has a new token."""
        assert send("POST", PATH, one_shot=True).status == 200
        sandbox.expire()

        assert send("POST", PATH, one_shot=True).status == 401
        assert "its body cannot be sent twice" in caplog.text
        assert send("POST", PATH, one_shot=True).status == 200
        assert sandbox.token_requests() == 2

    def test_without_replay_a_401_is_handed_over(self, send: Send, sandbox: Sandbox) -> None:
        """Some have a retry of their own."""
        send("GET", PATH)
        sandbox.expire()

        assert send("GET", PATH, replay=False).status == 401
        assert send("GET", PATH, replay=False).status == 200

    def test_another_server_gets_nothing(self, send: Send, stranger: Sandbox) -> None:
        """The bearer would go along; so nothing is sent at all."""
        with pytest.raises(UntrustedOriginError, match="was not sent"):
            send("GET", f"{stranger.base_url}{PATH}")
        assert stranger.log == []

    def test_a_url_with_a_user_in_it_leads_nowhere_else(self, send: Send, sandbox: Sandbox, stranger: Sandbox) -> None:
        """Libraries disagree on what is the host of such a URL; a mistake here would give the token away."""
        ours, theirs = (server.base_url.removeprefix("http://") for server in (sandbox, stranger))
        for authority in (f"{ours}@{theirs}", f"{ours}\\@{theirs}", f"{ours}#@{theirs}", f"{theirs}\\@{ours}"):
            # Refused, or sent home: whichever the library makes of it.
            with suppress(UntrustedOriginError, ValueError, OSError, TypeError):
                send("GET", f"http://{authority}{PATH}")
        assert "access_token" not in bearers(stranger)
        assert "other" not in bearers(stranger)

    def test_a_redirect_takes_no_bearer_elsewhere(self, send: Send, sandbox: Sandbox, stranger: Sandbox) -> None:
        """Downloads are often kept by somebody else."""
        sandbox.fail_next(1, "redirect", where="resource", location=f"{stranger.base_url}{PATH}")
        # aiohttp's sessions speak to one server; the others go there without a bearer.
        with suppress(UntrustedOriginError):
            assert send("GET", PATH).status == 401

        assert set(bearers(stranger)) <= {"none"}
        assert sandbox.token_requests() == 1, "a stranger's 401 says nothing of our token"

    def test_a_redirect_within_daxko_keeps_the_bearer(self, send: Send, sandbox: Sandbox) -> None:
        """A slash at the end of a path is enough for one."""
        sandbox.fail_next(1, "redirect", where="resource", location=f"{sandbox.base_url}/v3/elsewhere")

        assert json.loads(send("GET", PATH).text)["path"] == "/v3/elsewhere"

    def test_the_partner_token_endpoint_is_refused(self, send: Send, sandbox: Sandbox) -> None:
        """It takes the other bearer, which never travels through a program's own HTTP."""
        with pytest.raises(CredentialsError, match="takes the refresh token"):
            send("POST", "/v3/partners/oauth2/token")
        assert sandbox.log == []

    def test_a_403_renews_nothing(self, send: Send, sandbox: Sandbox) -> None:
        """Another token opens no more."""
        sandbox.forbid(PATH)

        assert send("GET", PATH).status == 403
        assert sandbox.token_requests() == 1

    def test_a_member_login_is_sent_once_unless_the_access_token_was_to_blame(
        self, send: Send, sandbox: Sandbox
    ) -> None:
        """A doubled failed login can lock the member out."""
        login = {"username": "member_name", "password": "wrong", "grant_type": "password", "scope": "member:auto_login"}
        sandbox.set_member_refusal("unexplained")
        assert send("POST", MEMBERS, json=login).status == 401
        sandbox.set_member_refusal("invalid_grant_401")
        assert send("POST", MEMBERS, json=login).status == 401
        assert bearers(sandbox) == ["access_token"] * 2

        sandbox.expire()
        assert send("POST", MEMBERS, json=login | {"password": "member_password"}).status == 200

    def test_a_replay_that_is_refused_as_well_stops_others(
        self, send: Send, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An endpoint that says 401 for "not allowed" must not cause a token request per call."""
        sandbox.always_401(PATH)

        assert [send("GET", PATH).status for _ in range(4)] == [401] * 4
        assert sandbox.token_requests() == 2
        assert "eyJ" not in caplog.text

    def test_many_refused_calls_are_replayed_with_one_token(self, send: Send, sandbox: Sandbox) -> None:
        """A token that ends while many calls are under way."""
        send("GET", PATH)
        sandbox.expire()
        with ThreadPoolExecutor(8) as pool:
            statuses = [answer.status for answer in pool.map(partial(send, "GET"), [PATH] * 16)]

        assert statuses == [200] * 16
        assert sandbox.token_requests() == 2

    def test_what_was_carried_out_before_a_redirect_is_not_done_again(
        self, send: Send, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A registration, its receipt, and a 401 for the receipt: the member would pay twice."""
        source_token = send("GET", PATH).status
        sandbox.fail_next(1, "redirect", where="resource", status=303, location="/v3/receipts/1")
        sandbox.always_401("/v3/receipts/1")

        answer = send("POST", PATH, json={"pay": 100})

        assert (source_token, answer.status) == (200, 401)
        assert [arrival.path for arrival in sandbox.log if arrival.method == "POST"][1:].count(PATH) == 1
        assert "token" in answer.note + caplog.text
        sandbox.always_401("/v3/receipts/1", on=False)
        assert send("GET", PATH).status == 200
        assert sandbox.token_requests() == 2, "the token was refused, so there is a new one"

    def test_a_hook_that_raises_for_a_401_keeps_no_token_in_use(self, send: Send, sandbox: Sandbox) -> None:
        """The recipe of each library's own documentation; a revoked token was used on for hours."""
        send("GET", PATH)
        sandbox.revoke()

        # An adapter that sees the answer before the hook does replays the call.
        with suppress(httpx.HTTPStatusError, httpx2.HTTPStatusError, aiohttp.ClientResponseError):
            send("GET", PATH, hook=lambda response: response.raise_for_status())

        assert send("GET", PATH, hook=lambda response: response.raise_for_status()).status == 200
        assert sandbox.token_requests() == 2

    def test_a_hook_that_raises_for_another_status_says_nothing_of_the_token(
        self, send: Send, sandbox: Sandbox, source: TokenSource
    ) -> None:
        """A 403 or a 404 is no reason for a token request."""
        token = source.token(9999)
        sandbox.forbid(PATH)

        with pytest.raises(Exception, match="403"):
            send("GET", PATH, hook=lambda response: response.raise_for_status())

        assert source.token(9999) is token
        finish_renewals(source)
        assert sandbox.token_requests() == 1

    def test_a_hook_that_raises_something_of_its_own_leaves_a_doubt(
        self, send: Send, sandbox: Sandbox, source: TokenSource
    ) -> None:
        """It may have been a 401, so the next call renews in the background; where it was seen, nothing is done."""
        token = source.token(9999)

        class OwnError(Exception):
            """Whatever the program raises."""

        def raising(_: object) -> None:
            raise OwnError

        seen: list[int] = []
        with pytest.raises(OwnError):
            send("GET", PATH, hook=raising)
        seen.append(send("GET", PATH).status)
        finish_renewals(source)

        assert seen == [200]
        saw_the_answer = sandbox.token_requests() == 1
        assert saw_the_answer == (source.token(9999) is token)

    def test_a_call_without_an_answer_says_nothing_of_the_token(
        self, send: Send, sandbox: Sandbox, source: TokenSource
    ) -> None:
        """A network that is down for an hour must not cause token requests on top."""
        token = source.token(9999)
        sandbox.fail_next(1, "drop", where="resource")

        with pytest.raises((httpx.HTTPError, httpx2.HTTPError, OSError, aiohttp.ClientError)):
            send("POST", PATH)

        assert source.token(9999) is token
        finish_renewals(source)
        assert sandbox.token_requests() == 1

    def test_a_host_header_of_another_server_is_refused(self, send: Send, sandbox: Sandbox) -> None:
        """A gateway goes by it, whatever the URL says."""
        for name in ("Host", "hOST"):
            with pytest.raises(UntrustedOriginError, match=r"Host header names evil\.example, and nothing was sent"):
                send("GET", PATH, headers={name: "evil.example"})
        assert sandbox.log == []
        assert send("GET", PATH, headers={"Host": sandbox.base_url.removeprefix("http://")}).status == 200

    def test_an_authorization_of_the_programs_own_is_refused_and_the_sources_own_replaced(
        self, send: Send, sandbox: Sandbox, source: TokenSource
    ) -> None:
        """Whichever won, the program would be misled; a request that is sent again has one that is known."""
        for pasted in ("Bearer pasted-long-ago", "Basic cGFzdGVk", "pasted"):
            with pytest.raises(CredentialsError, match="did not issue the Authorization") as refused:
                send("GET", PATH, headers={"authorization": pasted})
            assert "pasted" not in str(refused.value)
        assert sandbox.log == []

        send("GET", PATH)
        own = source.token(9999)
        source.reject(own)
        assert send("GET", PATH, headers={"Authorization": f"Bearer {own.reveal()}"}).status == 200
        assert bearers(sandbox) == ["access_token"] * 2

    @pytest.mark.parametrize("setting", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    def test_a_call_to_the_sandbox_leaves_by_no_proxy(
        self, send: Send, sandbox: Sandbox, setting: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Plain http is allowed to loopback because it never leaves the machine; the token must not, then."""
        with RawServer(saying(answer(b""))) as proxy:
            monkeypatch.setenv(setting, proxy.base_url)
            try:
                refusal, status = "", send("GET", PATH).status
            except UntrustedOriginError as refused:
                refusal, status = str(refused), None
            if status is None:
                assert f"({setting})" in refusal
                assert "Set NO_PROXY=localhost,127.0.0.1,::1, or" in refusal
            else:
                # aiohttp knows no ALL_PROXY.
                assert (status, bearers(sandbox)) == (200, ["access_token"])
            assert set(proxy.requests) <= {b""}
            monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1")
            assert send("GET", PATH).status == 200
            assert set(proxy.requests) <= {b""}

    @pytest.mark.parametrize(
        "path",
        [
            "/v3/members/oauth2/token/",
            "/v3/members/oauth2//token",
            "/v3/Members/OAuth2/Token",
            "/v3/members/oauth2/%74oken",
            "/v3/members/oauth2/%2574oken",
            "/v3/members/./oauth2/token",
            "/v3/members/x/%2e%2e/oauth2/token",
            "/v3/members/oauth2/token;v=1",
            "/v3/members%5coauth2/token",
        ],
    )
    def test_a_member_login_by_any_spelling_is_not_sent_twice(self, send: Send, sandbox: Sandbox, path: str) -> None:
        """Servers and gateways take many for the same, and a doubled failed login can lock the member out."""
        send("GET", PATH)
        sandbox.fail_next(1, Failure("answer", 401, body={}), where="resource")
        sandbox.fail_next(1, Failure("answer", 401, body={}), where="member")

        assert send("POST", path, json={"username": "member_name"}).status == 401
        assert len([arrival for arrival in sandbox.log if arrival.method == "POST"]) == 2, "one is for the token"

    def test_a_401_of_a_stranger_is_no_expired_token_and_says_so(
        self, send: Send, sandbox: Sandbox, stranger: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Somebody who looks for an expired token would look for long."""
        sandbox.fail_next(1, "redirect", where="resource", location=f"{stranger.base_url}{PATH}")
        try:
            answer = send("GET", PATH)
        except UntrustedOriginError:
            return  # aiohttp's sessions speak to one server
        assert answer.status == 401
        assert "did not carry the access token" in answer.note + caplog.text
        assert sandbox.token_requests() == 1

    def test_fresh_is_said_only_of_a_token_that_is(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        send: Send,
        sandbox: Sandbox,
        source: TokenSource,
        clock: FakeClock,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A token that was requested before the call was refused together with the first; the endpoint said nothing."""
        old = source.token(9999)
        source.reject(old)
        source.token(9999)
        clock.pass_time(60)
        sandbox.reject_all_tokens()

        async def atoken(*_: object) -> AccessToken:
            return old

        with monkeypatch.context() as patch:
            patch.setattr(TokenSource, "token", lambda *_: old)
            patch.setattr(TokenSource, "atoken", atoken)
            answer = send("GET", PATH)

        assert answer.status == 401
        assert "refused again: " in answer.note + caplog.text
        assert "fresh" not in answer.note + caplog.text
        sandbox.reject_all_tokens(on=False)
        assert send("GET", PATH).status == 200
        assert sandbox.token_requests() == 3

    def test_without_a_token_nothing_is_sent(self, send: Send, sandbox: Sandbox) -> None:
        """A call without a bearer reads as one that is not allowed."""
        with pytest.raises(TokenRefused):
            send("GET", PATH, scope=77)
        assert bearers(sandbox) == []

    def test_a_scope_that_is_none_is_refused(self, send: Send) -> None:
        """Before anything is sent."""
        with pytest.raises(CredentialsError):
            send("GET", PATH, scope="nobody")


@pytest.mark.parametrize("auth_type", [AiohttpAuth, DaxkoAuth, Httpx2Auth, RequestsAuth])
def test_an_adapter_shows_whom_it_is_for(auth_type: type, source: TokenSource) -> None:
    """And no secret."""
    assert repr(auth_type(source, 9999)) == f"<{auth_type.__name__} for client:9999 at {source.origin.base_url}>"


def test_a_file_that_requests_sends_is_sent_again_from_its_beginning(
    source: TokenSource, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The position that was read up to is no beginning."""
    (tmp_path / "rows.csv").write_bytes(b"a,b\n" * 1_000)
    auth = RequestsAuth(source, 9999)
    source.token(9999)
    sandbox.expire()
    with (tmp_path / "rows.csv").open("rb") as file:
        answer = requests.post(f"{sandbox.base_url}{PATH}", data=file, auth=auth, timeout=PATIENCE)

    assert answer.json()["body"]["bytes"] == 4_000
    assert [response.status_code for response in answer.history] == [401]


class Pipe(io.BytesIO):
    """It does not know where it is."""

    def tell(self) -> int:
        """Fail."""
        raise OSError("a pipe has no place")


class OneWay(io.BytesIO):
    """It knows where it is and cannot go back, like a member of an archive."""

    def seek(self, *_: int) -> int:
        """Fail."""
        raise OSError("cannot seek")


class Closing(io.BytesIO):
    """It is closed by whoever reads it to its end."""

    def read(self, size: int | None = -1) -> bytes:
        """Read all and close."""
        content = b"" if self.closed else super().read(size)
        if not content:
            self.close()
        return content


@pytest.mark.parametrize("kind", [Pipe, OneWay, Closing])
def test_a_file_that_cannot_be_rewound_is_not_sent_again(
    source: TokenSource, sandbox: Sandbox, kind: type[io.BytesIO], caplog: pytest.LogCaptureFixture
) -> None:
    """The 401 is handed over, with the reason in the log; requests' own exception would hide it."""
    source.token(9999)
    sandbox.expire()
    answer = requests.post(
        f"{sandbox.base_url}{PATH}", data=kind(b"once"), auth=RequestsAuth(source, 9999), timeout=PATIENCE
    )

    assert answer.status_code == 401
    assert "its body cannot be sent twice" in caplog.text


@pytest.mark.parametrize("password", ["canary-in-the-url", "%63anary%40"])
def test_a_password_in_a_url_stands_in_no_message(source: TokenSource, sandbox: Sandbox, password: str) -> None:
    """Requests takes the account's name and password there, so people write them there."""
    for url in (sandbox.base_url, "https://evil.example"):
        with pytest.raises(UntrustedOriginError, match="holds a user name or password") as refused:
            requests.get(url.replace("//", f"//user:{password}@"), auth=RequestsAuth(source, 9999), timeout=PATIENCE)
        assert password not in str(refused.value)
        assert "user:" not in str(refused.value)
    assert sandbox.log == []


def test_a_netrc_entry_that_requests_puts_in_the_tokens_place_is_told(
    source: TokenSource,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At each redirect, requests reads the file again; the 401 that follows is no expired token."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sandbox.fail_next(1, "redirect", where="resource", location="/v3/moved")

    answer = requests.get(f"{sandbox.base_url}{PATH}", auth=RequestsAuth(source, 9999), timeout=PATIENCE)

    assert answer.status_code == 401
    assert "GET /v3/moved was answered 401; this request did not carry the access token" in caplog.text
    assert "netrc" in caplog.text
    assert sandbox.token_requests() == 1


def test_a_proxy_that_requests_is_given_is_noticed_at_once(source: TokenSource, sandbox: Sandbox) -> None:
    """`proxies=` cannot be seen before the first answer, and then it is refused."""
    with RawServer(saying(answer(b""))) as proxy, pytest.raises(UntrustedOriginError, match="by a proxy"):
        requests.get(
            f"{sandbox.base_url}{PATH}",
            auth=RequestsAuth(source, 9999),
            proxies={"http": proxy.base_url},
            timeout=PATIENCE,
        )


@pytest.mark.parametrize("how", ["proxy", "server_hostname", "netrc", "auth"])
def test_aiohttps_own_ways_lead_nowhere_else(
    source: TokenSource, sandbox: Sandbox, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy by argument, another name for TLS; and an Authorization by argument, or from a netrc file."""
    options: dict[str, Any] = {}
    if how == "netrc":
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password canary\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elif how == "auth":
        options = {"headers": {"Authorization": aiohttp.encode_basic_auth("somebody", "canary")}}
    else:
        options = {how: {"proxy": "http://127.0.0.1:1", "server_hostname": "evil.example"}[how]}
    with pytest.raises((UntrustedOriginError, CredentialsError), match="sent"):
        DRIVERS["aiohttp"](source, 9999, "GET", f"{sandbox.base_url}{PATH}", **options)
    assert sandbox.log == []


def test_what_aiohttp_raises_for_an_answer_shows_no_token(source: TokenSource, sandbox: Sandbox) -> None:
    """It shows the headers of the request: in `%r`, in the results of `gather`, among locals."""
    sandbox.forbid(PATH)
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        DRIVERS["aiohttp"](
            source,
            9999,
            "GET",
            f"{sandbox.base_url}{PATH}",
            hook=lambda response: response.raise_for_status(),
        )
    assert source.token(9999).reveal() not in repr(raised.value)
    assert "Authorization" not in repr(raised.value)
