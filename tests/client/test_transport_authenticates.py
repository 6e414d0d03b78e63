"""`Daxko.http` authenticates in its transport: before any hook of the program, at every hop, with the same meanings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from raw_server import RawServer, answer, saying
from support import PATIENCE, finish_renewals, in_child

from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, TokenSource, UntrustedOriginError
from daxko_auth.sandbox import Sandbox

Do = Callable[..., httpx.Response]


@pytest.fixture
def do(world: str, source: TokenSource) -> Do:
    """Send a request with a Daxko in this world, and perhaps another that is made of the answer."""

    def hooked(http: Any, hooks: dict[str, Callable[[Any], None]]) -> None:
        def awaiting(hook: Callable[[Any], None]) -> Callable[[Any], Any]:
            async def ahook(event: Any) -> None:
                hook(event)

            return ahook

        wrap = awaiting if world != "thread" else lambda hook: hook
        http.event_hooks = {name: [wrap(hook)] for name, hook in hooks.items()}

    def send(
        method: str, url: str, *, then: Callable[[httpx.Response], httpx.Request] | None = None, **options: Any
    ) -> httpx.Response:
        hooks, last = options.pop("hooks", {}), options.pop("last", {})

        async def asend() -> httpx.Response:
            async with AsyncDaxko(source.credentials, 9999, source=source, timeout=PATIENCE) as daxko:
                hooked(daxko.http, hooks)
                response = await daxko.http.request(method, url, **options)
                return response if then is None else await daxko.http.send(then(response), **last)

        if world != "thread":
            return anyio.run(asend, backend=world)
        with Daxko(source.credentials, 9999, source=source, timeout=PATIENCE) as daxko:
            hooked(daxko.http, hooks)
            response = daxko.http.request(method, url, **options)
            return response if then is None else daxko.http.send(then(response), **last)

    return send


def paths(sandbox: Sandbox) -> list[tuple[str, int | None]]:
    """Return what was asked for with which answer, token requests aside."""
    return [(arrival.path, arrival.status) for arrival in sandbox.log if not arrival.is_token_request]


def test_hooks_of_the_program_see_neither_the_token_nor_the_401(sandbox: Sandbox, source: TokenSource, do: Do) -> None:
    """A hook that logs headers logs no token; one that raises for 401 does not come between the 401 and its replay."""
    source.token(9999)
    sandbox.revoke()
    requested: list[httpx.Request] = []
    statuses: list[int] = []

    def answered(response: httpx.Response) -> None:
        statuses.append(response.status_code)
        response.raise_for_status()

    response = do("GET", "/v3/x", hooks={"request": requested.append, "response": answered})

    assert statuses == [200]
    assert [request.headers.get("Authorization") for request in (*requested, response.request)] == [None, None]
    assert paths(sandbox) == [("/v3/x", 401), ("/v3/x", 200)]


def test_the_history_has_every_401_where_it_was(sandbox: Sandbox, source: TokenSource, do: Do) -> None:
    """What a program reads there does not depend on where the token is attached."""
    source.token(9999)
    sandbox.revoke()
    sandbox.fail_next(1, "redirect", where="resource", status=303, location="/v3/two")
    first = do("GET", "/v3/one", follow_redirects=True)
    assert [(earlier.url.path, earlier.status_code) for earlier in first.history] == [
        ("/v3/one", 303),
        ("/v3/two", 401),
    ]

    sandbox.revoke()
    response = do("GET", "/v3/alone")
    (refused,) = response.history
    assert (refused.status_code, refused.url.path, refused.request) == (401, "/v3/alone", response.request)
    assert refused.json()["error"] == "invalid_token"
    assert refused.elapsed.total_seconds() > 0
    assert refused.history == []


def test_a_401_before_a_redirect_comes_first_in_the_history(
    sandbox: Sandbox, source: TokenSource, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is that of the wire."""
    answers = iter(
        [
            httpx.Response(401, json={}),
            httpx.Response(303, headers={"Location": "/v3/two"}),
            httpx.Response(401, json={}),
            httpx.Response(200),
        ]
    )
    tokens = iter([source.token(9999)] * 2)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: next(answers))

    async def handle(*_: object) -> httpx.Response:
        return next(answers)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    monkeypatch.setattr(source, "replacement_for", lambda *_, **__: next(tokens))

    async def areplacement_for(*_: object, **__: object) -> object:
        return next(tokens)

    monkeypatch.setattr(source, "areplacement_for", areplacement_for)

    response = do("POST", "/v3/one", json={}, follow_redirects=True)

    assert response.status_code == 200
    assert [(earlier.request.method, earlier.status_code) for earlier in response.history] == [
        ("POST", 401),
        ("POST", 303),
        ("GET", 401),
    ]


def test_each_hop_is_replayed_by_itself(sandbox: Sandbox, source: TokenSource, do: Do) -> None:
    """A POST that was carried out, and a 401 for what it led to: only the second is asked for again."""
    source.token(9999)
    sandbox.fail_next(1, "redirect", where="resource", status=303, location="/v3/receipt")
    sandbox.always_401("/v3/receipt")

    response = do("POST", "/v3/pay", json={}, follow_redirects=True)

    assert paths(sandbox) == [("/v3/pay", 303), ("/v3/receipt", 401), ("/v3/receipt", 401)]
    assert response.extensions["daxko_auth"].startswith("fresh token refused")
    assert [earlier.status_code for earlier in response.history] == [303, 401]


def test_a_body_is_sent_on_by_a_redirect_after_it_was_read(sandbox: Sandbox, do: Do) -> None:
    """It is read into memory once, so that it can be sent again, by whomever."""
    sandbox.fail_next(1, "redirect", where="resource", status=307, location="/v3/moved")
    response = do("POST", "/v3/x", files={"f": b"in a form"}, follow_redirects=True)
    assert response.json()["path"] == "/v3/moved"
    assert response.json()["body"]["bytes"] > 0


def test_a_body_that_can_be_read_once_is_sent_once(sandbox: Sandbox, source: TokenSource, do: Do, world: str) -> None:
    """The 401 comes back with a note, and can be read."""

    def chunks() -> Iterator[bytes]:
        yield b"once"

    async def achunks() -> AsyncIterator[bytes]:
        yield b"once"

    source.token(9999)
    sandbox.expire()
    response = do("POST", "/v3/x", content=chunks() if world == "thread" else achunks())
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_token"
    assert response.extensions["daxko_auth"].startswith("not sent again (its body cannot be sent twice)")
    assert response.elapsed.total_seconds() > 0


def test_without_auth_a_request_has_no_token_even_if_it_had_one_before(sandbox: Sandbox, do: Do) -> None:
    """`auth=None` is for the one call that must not have it; what was marked once is not marked for ever."""
    assert do("GET", "/v3/x", auth=None).status_code == 401
    assert do("GET", "/v3/x", then=lambda response: response.request, last={"auth": None}).status_code == 401
    sandbox.fail_next(1, "redirect", where="resource", location="/v3/y")

    def following(response: httpx.Response) -> httpx.Request:
        assert response.next_request is not None
        return response.next_request

    assert do("GET", "/v3/x", then=following, last={"auth": None}).status_code == 401
    assert [arrival.bearer for arrival in sandbox.log if not arrival.is_token_request] == [
        "none",
        "access_token",
        "none",
        "access_token",
        "none",
    ]
    assert "daxko_auth" not in do("GET", "/v3/x", auth=None).extensions


def test_another_authentication_of_one_request_goes_home_and_nowhere_else(sandbox: Sandbox, do: Do) -> None:
    """A member's bearer, say: it is the program's own, and still leaves by our transport."""
    assert do("GET", "/v3/x", auth=("somebody", "else")).status_code == 401
    with pytest.raises(UntrustedOriginError, match="was not sent"):
        do("GET", "http://127.0.0.1:1/v3/x", auth=("somebody", "else"))


def test_a_request_that_a_hook_leads_elsewhere_after_a_redirect_has_no_token(sandbox: Sandbox, do: Do) -> None:
    """It is judged as it leaves, whatever was asked for."""
    sandbox.fail_next(1, "redirect", where="resource", location="/v3/y")
    with RawServer(saying(answer(b"", "401 Unauthorized", Connection="close"))) as elsewhere:

        def lead(request: httpx.Request) -> None:
            if request.url.path == "/v3/y":
                request.url = httpx.URL(elsewhere.base_url)

        response = do("GET", "/v3/x", hooks={"request": lead}, follow_redirects=True)
        assert response.status_code == 401
        assert response.extensions["daxko_auth"].startswith("this request did not carry the access token")
        assert [b"uthorization" in request for request in elsewhere.requests] == [False]


def test_a_failed_call_says_nothing_of_the_token(sandbox: Sandbox, source: TokenSource, do: Do) -> None:
    """Neither one that was not answered, nor one whose answer a hook of the program did not like."""
    token = source.token(9999)
    sandbox.fail_next(1, "drop", where="resource")
    with pytest.raises(httpx.TransportError):
        do("GET", "/v3/x")

    def raising(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do("GET", "/v3/x", hooks={"response": raising})
    assert source.token(9999) is token
    finish_renewals(source)
    assert sandbox.token_requests() == 1


def test_what_patches_httpxs_transports_sees_every_call(
    source: TokenSource, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do vcrpy, respx and pytest-httpx patch; what was sent by another way would slip through their fingers."""
    source.token(9999)
    seen: list[tuple[str, bool]] = []

    def handle(_: object, request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, request.headers["Authorization"].startswith("Bearer ")))
        return httpx.Response(401 if len(seen) == 1 else 200, json={})

    async def ahandle(_: object, request: httpx.Request) -> httpx.Response:
        return handle(_, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", ahandle)
    monkeypatch.setattr(source, "replacement_for", lambda token, **_: token)

    async def areplacement_for(token: object, **_: object) -> object:
        return token

    monkeypatch.setattr(source, "areplacement_for", areplacement_for)
    response = do("GET", "/v3/x")
    assert (response.status_code, [earlier.status_code for earlier in response.history]) == (200, [401])
    assert seen == [("/v3/x", True)] * 2


@pytest.mark.parametrize("call", ["get", "member_token"])
def test_one_object_serves_run_after_run_of_asyncio(
    sandbox: Sandbox, source: TokenSource, call: str, credentials: ApiCredentials
) -> None:
    """AWS Lambda, a Celery task, a Flask view: an `asyncio.run` each, and connections of none but its own."""
    daxko = AsyncDaxko(credentials, 9999, source=source)
    siblings = [daxko, daxko.for_scope(9999)]

    async def invocation(used: AsyncDaxko) -> object:
        if call == "get":
            return (await used.http.get("/v3/x")).status_code
        return await used.member_token("member_name", "member_password")

    for used in siblings * 2:
        assert asyncio.run(invocation(used))
        assert anyio.run(invocation, used, backend="trio")
    asyncio.run(daxko.aclose())


def test_a_child_process_opens_connections_of_its_own(
    sandbox: Sandbox, source: TokenSource, credentials: ApiCredentials
) -> None:
    """Those of the parent stay the parent's, also while it is in the middle of a loop."""
    daxko, adaxko = Daxko(credentials, 9999, source=source), AsyncDaxko(credentials, 9999, source=source)

    def works() -> bool:
        return daxko.http.get("/v3/x").status_code == 200

    async def aworks() -> bool:
        return (await adaxko.http.get("/v3/x")).status_code == 200

    async def main() -> bool:
        before = await aworks()
        alive = await anyio.to_thread.run_sync(lambda: in_child(works))
        return before and alive and await aworks()

    assert works()
    assert asyncio.run(main())
    assert in_child(lambda: asyncio.run(aworks()))
    assert works()
    daxko.close()
