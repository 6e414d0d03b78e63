"""One contract for every HTTP library: which bearer, which origin, which 401 is answered with a replay."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests
from adapters.drivers import DRIVERS, Answer
from support import PATIENCE

from daxko_auth import (
    AiohttpAuth,
    CredentialsError,
    DaxkoAuth,
    Httpx2Auth,
    RequestsAuth,
    TokenRefused,
    TokenSource,
    UntrustedOriginError,
)
from daxko_auth.sandbox import Sandbox

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


def test_a_pipe_that_requests_sends_is_not_sent_again(source: TokenSource, sandbox: Sandbox) -> None:
    """It cannot be rewound."""

    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError("a pipe has no place")

    source.token(9999)
    sandbox.expire()
    answer = requests.post(
        f"{sandbox.base_url}{PATH}", data=Pipe(b"once"), auth=RequestsAuth(source, 9999), timeout=PATIENCE
    )

    assert answer.status_code == 401
