"""`DaxkoAuth` in an httpx program: which bearer, which origin, which body is sent twice."""

from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from support import PATIENCE, Call

from daxko_auth import CredentialsError, DaxkoAuth, TokenRefused, TokenSource, UntrustedOriginError
from daxko_auth.sandbox import Sandbox

ACCEPT = {"Accept": "application/json"}


def test_every_request_carries_the_access_token_of_its_scope(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """The guide: the access token replaces the refresh token everywhere but at its own endpoint."""
    assert call(source, 9999, "GET", "/v3/programs/locations").json()["client_id"] == 9999
    assert call(source, "client:1234", "DELETE", "/v3/anything").json()["client_id"] == 1234
    assert [arrival.bearer for arrival in sandbox.log] == ["refresh_token", "access_token"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/v3/x",
        "http://127.0.0.1:1/v3/x",
        "https://{netloc}/v3/x",
        "http://127.0.0.1.other.example:{port}/v3/x",
        "http://localhost:{port}/v3/x",
        "http://{netloc}@other.example/v3/x",
        "http://127.0.0.1.:{port}/v3/x",
    ],
)
def test_the_access_token_goes_nowhere_else(sandbox: Sandbox, source: TokenSource, call: Call, url: str) -> None:
    """A `next` link or a typing error must not hand a day's access to a stranger."""
    netloc = sandbox.base_url.removeprefix("http://")
    target = url.format(netloc=netloc, port=netloc.partition(":")[2])

    with pytest.raises(UntrustedOriginError, match="was not sent"):
        call(source, 9999, "GET", target)
    assert sandbox.log == []


@pytest.mark.parametrize("url", ["/v3/partners/oauth2/token", "/v3/partners/oauth2/%74oken"])
def test_the_partner_token_endpoint_is_left_to_the_source(
    sandbox: Sandbox, source: TokenSource, call: Call, url: str
) -> None:
    """It takes the refresh token, and that must not pass through hooks and redirects of the program."""
    with pytest.raises(CredentialsError, match=r"TokenSource.token\(9999\)"):
        call(source, 9999, "POST", url)
    assert sandbox.log == []


def test_without_a_token_nothing_is_sent(sandbox: Sandbox, source: TokenSource, call: Call) -> None:
    """An unauthenticated request is a 401 at best, and a leak of what it asks for."""
    with pytest.raises(TokenRefused):
        call(source, 4321, "GET", "/v3/anything")
    assert [arrival.path for arrival in sandbox.log] == ["/v3/partners/oauth2/token"]


def test_a_bad_scope_is_refused_where_it_is_written(source: TokenSource) -> None:
    """Not at the first request, hours later."""
    with pytest.raises(CredentialsError):
        DaxkoAuth(source, "daxko_api_user")


def test_a_repr_shows_scope_and_origin(source: TokenSource, sandbox: Sandbox) -> None:
    """It ends up in logs."""
    assert repr(DaxkoAuth(source, 9999)) == f"<DaxkoAuth for client:9999 at {sandbox.base_url}>"


def test_hooks_and_history_of_the_program_never_see_a_token_request(sandbox: Sandbox, source: TokenSource) -> None:
    """A hook that logs requests would log the password."""
    seen: list[str] = []
    hooks: dict[str, list[Any]] = {"request": [lambda request: seen.append(request.url.path)]}
    with httpx.Client(
        base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT, event_hooks=hooks
    ) as http:
        http.get("/v3/first")
        sandbox.expire()
        answer = http.get("/v3/second")

    assert seen == ["/v3/first", "/v3/second", "/v3/second"]
    assert [earlier.url.path for earlier in answer.history] == ["/v3/second"]


def test_a_thousand_calls_in_flight_all_refused_cost_one_renewal(sandbox: Sandbox, source: TokenSource) -> None:
    """Under load a revoked token is refused a thousand times and renewed once."""

    async def main() -> list[httpx.Response]:
        auth = DaxkoAuth(source, 9999)
        answers: list[httpx.Response] = []
        async with httpx.AsyncClient(
            base_url=sandbox.base_url,
            auth=auth,
            headers=ACCEPT,
            timeout=PATIENCE,
            limits=httpx.Limits(max_connections=100),
        ) as http:

            async def post(number: int) -> None:
                answers.append(await http.post("/v3/many", content=b"x" * number))

            await http.get("/v3/first")
            sandbox.revoke()
            async with anyio.create_task_group() as group:
                for number in range(1, 1_001):
                    group.start_soon(post, number)
        return answers

    answers = anyio.run(main)

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["body"]["bytes"] for answer in answers) == list(range(1, 1_001))
    assert sandbox.token_requests() == 2


def test_a_401_of_another_server_says_nothing_about_our_token(sandbox: Sandbox, source: TokenSource) -> None:
    """A redirect to a download elsewhere: httpx strips the bearer, and the stranger refuses."""
    with Sandbox() as stranger:
        sandbox.fail_next(1, "redirect", where="resource", location=f"{stranger.base_url}/v3/download")
        with httpx.Client(
            base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT, follow_redirects=True
        ) as http:
            assert http.get("/v3/download").status_code == 401

        assert [arrival.bearer for arrival in stranger.log] == ["none"]
    assert sandbox.token_requests() == 1


def test_a_url_that_a_hook_has_rewritten_gets_no_second_bearer(sandbox: Sandbox, source: TokenSource) -> None:
    """Whatever happened to the request since, the replay goes to the configured origin or not at all."""

    def rewrite(response: httpx.Response) -> None:
        response.request.url = httpx.URL("https://other.example/v3/x")

    source.token(9999)
    sandbox.expire()
    with httpx.Client(
        base_url=sandbox.base_url, auth=DaxkoAuth(source, 9999), headers=ACCEPT, event_hooks={"response": [rewrite]}
    ) as http:
        answer = http.get("/v3/x")

    assert answer.status_code == 401
    assert sandbox.token_requests() == 1


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_a_refused_call_gives_its_connection_back_while_it_waits(
    sandbox: Sandbox, source: TokenSource, world: str
) -> None:
    """One customer whose renewal hangs must not starve the others of connections."""
    limits = httpx.Limits(max_connections=1)
    auths = {scope: DaxkoAuth(source, scope) for scope in (9999, 1234)}

    async def main() -> int:
        async with httpx.AsyncClient(
            base_url=sandbox.base_url, headers=ACCEPT, limits=limits, timeout=PATIENCE
        ) as http:
            for auth in auths.values():
                await http.get("/v3/first", auth=auth)
            sandbox.revoke(9999)
            sandbox.hold()
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: http.get("/v3/refused", auth=auths[9999]))
                await anyio.to_thread.run_sync(sandbox.wait_for_token_requests, 3)
                answer = await http.get("/v3/served", auth=auths[1234])
                sandbox.release()
        return answer.status_code

    assert anyio.run(main, backend=world) == 200
