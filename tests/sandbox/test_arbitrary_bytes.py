"""
Whatever arrives, the sandbox answers it, and never with a 500.
"""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import MEMBER, PARTNER, Caller
from support import PATIENCE

from daxko_auth.sandbox import Sandbox


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    """One for all examples: starting is quick, but not that quick."""
    with Sandbox() as sandbox:
        one = Caller(sandbox)
        with one.http:
            yield one


CONTENT_TYPES = st.sampled_from(
    ["multipart/form-data; boundary=b", "multipart/form-data", "application/json", "application/x-www-form-urlencoded"]
)
HEADER_VALUES = CONTENT_TYPES | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])).map(str.strip)
BODIES = st.binary() | st.binary().map(lambda some: b"--b\r\n" + some + b"\r\n--b--\r\n")


@settings(deadline=None, max_examples=60)
@given(BODIES, HEADER_VALUES, HEADER_VALUES, st.booleans())
def test_any_body_and_headers_are_answered(
    caller: Caller,
    body: bytes,
    content_type: str,
    other: str,
    right: bool,
) -> None:
    """A program under test may send anything, above all when it is broken."""
    token = caller.access_token()
    for path, bearer in ((PARTNER, caller.sandbox.refresh_token), (MEMBER, token), ("/v3/x", token)):
        headers = {
            "authorization": f"Bearer {bearer}".encode() if right else other.encode("latin-1"),
            "content-type": content_type.encode("latin-1"),
            "x-other": other.encode("latin-1"),
        }
        answer = caller.http.post(path, content=body, headers=headers)

        assert answer.status_code in ({200} if right and path == "/v3/x" else {400, 401})


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=40),
    st.binary(max_size=40),
)
def test_any_target_is_answered(caller: Caller, target: str, body: bytes) -> None:
    """On the bare connection, where no HTTP library has tidied up."""
    address = urlsplit(caller.sandbox.base_url)
    for path in (f"/{target}", f"/v3/{target}", f"/_sandbox/{target}", target or "*"):
        with socket.create_connection((address.hostname, address.port or 0), timeout=PATIENCE) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            status = connection.makefile("rb").read()[9:12]

        assert status in {b"200", b"400", b"401", b"404", b"405", b"406"}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(
        ["advance", "expire", "fail_next", "set_latency", "forbid", "set_token_life", "set_member_refusal"]
    ),
    st.dictionaries(
        st.sampled_from(["seconds", "scope", "count", "how", "where", "status", "retry_after", "path", "on", "style"]),
        st.none() | st.booleans() | st.integers(-5, 0) | st.floats() | st.text() | st.lists(st.none()),
    ),
)
def test_any_switch_is_answered(name: str, options: dict[str, object]) -> None:
    """What it cannot do it refuses, and it goes on answering."""
    with Sandbox() as sandbox:
        one = Caller(sandbox)
        with one.http:
            answer = one.http.post(f"/_sandbox/{name}", content=json.dumps(options))
            assert answer.status_code in {200, 400}
            assert one.http.get("/").status_code == 200
