"""The page at `/`, as a browser gets it: what it shows, what its buttons do, and what it keeps out."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sandbox_calls import Caller
from support import PATIENCE

from daxko_auth.sandbox import Sandbox

HTML = {"accept": "text/html,application/xhtml+xml"}


def page(caller: Caller, path: str = "/") -> str:
    """Return the page."""
    answer = caller.http.get(path, headers=HTML)
    assert answer.status_code == 200
    return answer.text


def press(caller: Caller, button: str, scope: str = "", **headers: str) -> httpx.Response:
    """Press a button of the page, as a browser without a script does."""
    return caller.http.post("/_sandbox/console", data={"press": button, "scope": scope}, headers=headers)


def test_a_browser_gets_a_page_and_a_program_the_words_it_always_got(caller: Caller) -> None:
    """Curl is used to one line."""
    assert "<h1>Sandbox" in page(caller)
    assert caller.http.get("/").text == caller.sandbox.banner
    assert caller.http.head("/").status_code == 200


def test_looking_is_not_logged(caller: Caller) -> None:
    """A test that counts requests counts the program's."""
    page(caller)
    press(caller, "slow")

    assert caller.sandbox.log == []


@pytest.mark.parametrize("path", ["/", "/_sandbox/console.css", "/_sandbox/console.js"])
def test_the_page_may_load_nothing_from_elsewhere(caller: Caller, path: str) -> None:
    """Nor be framed, stored, or sent to anybody."""
    answer = caller.http.get(path, headers=HTML)

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"https?://(?!127\.0\.0\.1)", answer.text)


def test_the_settings_are_those_that_reach_it_from_where_one_looks(caller: Caller) -> None:
    """A container has another name inside than outside."""
    shown = caller.http.get("/", headers={**HTML, "host": "sandbox.test:1234"}).text

    assert "export DAXKO_BASE_URL=http://sandbox.test:1234" in shown
    assert f"export DAXKO_REFRESH_TOKEN={caller.sandbox.refresh_token}" in shown


def test_what_arrives_is_shown_with_what_it_is(caller: Caller) -> None:
    """A 401 and its replay are told from calls that went well."""
    token = caller.access_token()
    caller.get("/v3/x", token)
    caller.sandbox.expire()
    caller.get("/v3/x", token)
    caller.get("/v3/x", caller.access_token())
    shown = page(caller)

    rows = re.findall(r'data-label="What">([^<]+)</td><td data-label="Answer">(\d+)', shown)
    assert rows == [
        ("replay", "200"),
        ("token request", "200"),
        ("call", "401"),
        ("call", "200"),
        ("token request", "200"),
    ]
    assert "2 token requests, 2 calls, 1 replay; 1 refusal or failure." in shown
    assert re.findall(r'data-label="Time left">(\w+|<time)', shown) == ["<time", "expired"]
    assert token not in shown, "tokens are fingerprints"


def test_a_member_that_signs_in_is_shown(caller: Caller) -> None:
    """With the name, which is no secret, and with nothing that is."""
    caller.member(caller.access_token())
    shown = page(caller)

    assert "member login" in shown
    assert "member_name, a member" in shown
    assert "member_password" not in shown


def test_the_page_can_be_narrowed_to_one_client(caller: Caller) -> None:
    """Many customers make much noise."""
    caller.token("client:9999")
    caller.token("client:1234")
    shown = page(caller, "/?scope=client:1234")

    assert shown.count('data-label="Client">client:1234') == 1
    assert 'data-label="Client">client:9999' not in shown
    assert 'aria-current="page">client:1234 <b>1 token request</b>' in shown
    assert '<input type="hidden" name="scope" value="client:1234">' in shown


def test_what_came_over_the_wire_is_escaped(caller: Caller) -> None:
    """The page shows what strangers sent."""
    caller.http.get("/v3/<script>alert(1)</script>")
    caller.token("client:<img>")
    shown = page(caller, "/?scope=<b>")

    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in page(caller)
    assert "<img" not in shown
    assert "<b>&" not in shown


@pytest.mark.shows_secrets("log")
def test_a_secret_in_the_wrong_place_is_pointed_out(caller: Caller) -> None:
    """And is not shown."""
    caller.http.get(f"/v3/{caller.sandbox.refresh_token}")
    shown = page(caller)

    assert '<strong class="trouble">refresh_token in ' in shown
    timeline = shown.partition('<h2 id="timeline">')[2]
    assert caller.sandbox.refresh_token not in timeline


def test_the_buttons_work_without_a_script(caller: Caller) -> None:
    """And lead back to the page that they are on."""
    first = caller.access_token()
    pressed = press(caller, "expire", "client:9999")
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/?scope=client%3A9999")
    assert caller.get("/v3/x", first).status_code == 401

    second = caller.access_token()
    assert press(caller, "revoke").headers["location"] == "/"
    assert caller.get("/v3/x", second).status_code == 401
    assert "taken back" in page(caller)

    press(caller, "break")
    assert caller.token().status_code == 503
    press(caller, "slow")
    caller.sandbox.hold()
    assert "The token endpoint keeps requests waiting and is 3 s slow and is broken." in page(caller)
    press(caller, "mend")
    assert "All is well." in page(caller)
    assert caller.token().status_code == 200

    press(caller, "clear")
    assert "Nothing has arrived yet." in page(caller)
    assert press(caller, "explode").status_code == 400


def test_the_page_of_another_site_presses_nothing(caller: Caller) -> None:
    """A browser sends what any page asks it to, also to this machine."""
    token = caller.access_token()
    for headers in ({"origin": "https://example.com"}, {"origin": "null"}):
        assert press(caller, "revoke", **headers).status_code == 403
        assert caller.http.post("/_sandbox/revoke", headers=headers).status_code == 403
    assert caller.get("/v3/x", token).status_code == 200

    assert press(caller, "revoke", origin=caller.sandbox.base_url).status_code == 303
    assert caller.get("/v3/x", token).status_code == 401


@contextmanager
def changes(sandbox: Sandbox) -> Iterator[Iterator[str]]:
    """Read the events that a page gets."""
    with urllib.request.urlopen(f"{sandbox.base_url}/_sandbox/changes", timeout=PATIENCE) as stream:  # noqa: S310 - our own
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield (line.decode() for line in stream if line.strip())


def test_every_event_is_the_whole_picture(caller: Caller) -> None:
    """So that whoever connects again, or reads slowly, has lost nothing."""
    with changes(caller.sandbox) as events:
        assert "Nothing has arrived yet." in next(events)
        caller.token()
        caller.token()
        # The first may come between the two.
        assert any("2 token requests" in event for event, _ in zip(events, range(2), strict=False))
    with changes(caller.sandbox) as events:
        assert "2 token requests" in next(events)


def test_a_sandbox_closes_at_once_however_many_watch() -> None:
    """A test's end does not wait for somebody's browser."""
    with Sandbox() as sandbox:
        watching = [urllib.request.urlopen(f"{sandbox.base_url}/_sandbox/changes", timeout=PATIENCE) for _ in range(3)]  # noqa: S310
    for stream in watching:
        stream.close()


def test_the_settings_of_the_page_are_those_of_the_program(sandbox: Sandbox) -> None:
    """Both ways to get them say the same."""
    assert sandbox.settings() == sandbox.settings_at(sandbox.base_url)
    assert json.loads(json.dumps(sandbox.settings()))["DAXKO_USERNAME"] == "daxko_api_user"
