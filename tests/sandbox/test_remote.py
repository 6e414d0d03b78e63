"""
The switches over HTTP: all of those in the table, and nothing else.
"""

import json
import urllib.request

import pytest
from sandbox_calls import Caller

from daxko_auth.sandbox import Sandbox, remote


def test_every_switch_of_the_table_works_over_http(caller: Caller) -> None:
    """Tests in another process or another language have the same switches."""
    token = caller.access_token()
    turned = [
        ("set_token_life", {"seconds": 5}, None),
        ("advance", {"seconds": 1}, None),
        ("expire", {}, 1),
        ("revoke", {"scope": 9999}, 1),
        ("revoke", {"scope": "client:1234"}, 0),
        ("reject_all_tokens", {"on": False}, None),
        ("set_latency", {"seconds": 0, "where": "resource"}, None),
        ("hold", {"where": "member"}, None),
        ("release", {"where": "member"}, None),
        ("hold", {"where": "resource"}, None),
        ("forbid", {"path": "/v3/f"}, None),
        ("always_401", {"path": "/v3/u"}, None),
        ("set_member_refusal", {"style": "unexplained"}, None),
        ("fail_no_more", {}, None),
        ("fail_next", {"count": 2, "how": "answer", "status": 418, "body": {"a": 1}}, None),
    ]
    for name, options, result in turned:
        answer = caller.switch(name, **options)
        assert (answer.status_code, answer.json()) == (200, {"result": result}), name

    assert caller.http.get("/_sandbox/state").json() == {
        "token_life": 5,
        "rejects_all_tokens": False,
        "member_refusal": "unexplained",
        "forbidden": ["/v3/f"],
        "always_401": ["/v3/u"],
        "where": {
            "partner": {"held": False, "latency": 0.0, "failures_to_come": 2},
            "member": {"held": False, "latency": 0.0, "failures_to_come": 0},
            "resource": {"held": True, "latency": 0, "failures_to_come": 0},
        },
    }
    assert caller.token().json() == {"a": 1}
    assert caller.http.post("/_sandbox/clear_log").status_code == 200
    caller.switch("release", where="resource")
    assert caller.get("/v3/x", token).status_code == 401


def test_the_log_can_be_read_over_http(caller: Caller) -> None:
    """As JSON, with the names that Python has; reading it leaves no trace."""
    caller.token("client:1234")
    caller.token()
    read = caller.http.get("/_sandbox/log").json()["arrivals"]

    assert [(one["number"], one["status"], one["misplaced"]) for one in read] == [(1, 200, []), (2, 200, [])]
    assert read[0].keys() == {name for name in dir(caller.sandbox.log[0]) if name[0] != "_"} - {"is_token_request"}
    assert caller.http.get("/_sandbox/token_requests").json() == {"token_requests": 2}
    assert caller.http.get("/_sandbox/token_requests?scope=1234").json() == {"token_requests": 1}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("advance", b"{"),
        ("advance", b"\xff"),
        ("advance", b"[" * 100_000),
        ("advance", b"[1]"),
        ("advance", b"{}"),
        ("advance", b'{"seconds": "1"}'),
        ("advance", b'{"minutes": 1}'),
        ("fail_next", b'{"count": 1, "how": {}}'),
        ("hold", b'{"where": []}'),
        ("forbid", b'{"path": ""}'),
    ],
)
def test_what_a_switch_cannot_do_is_told(caller: Caller, name: str, body: bytes) -> None:
    """In words, and without any effect."""
    answer = caller.http.post(f"/_sandbox/{name}", content=body)

    assert answer.status_code == 400
    assert answer.json()["problem"]


@pytest.mark.parametrize(
    ("method", "name"),
    [("POST", "close"), ("POST", "exports"), ("POST", "_station"), ("GET", "expire"), ("POST", "log"), ("POST", "")],
)
def test_nothing_else_is_a_switch(caller: Caller, method: str, name: str) -> None:
    """The password and the refresh token are not to be had here."""
    answer = caller.http.request(method, f"/_sandbox/{name}")

    assert answer.status_code == 404


def test_a_path_with_half_a_character_can_be_read_back(caller: Caller) -> None:
    """JSON can name what UTF-8 cannot write."""
    body = json.dumps({"path": "/v3/\ud800"})
    assert caller.http.post("/_sandbox/forbid", content=body).status_code == 200

    assert caller.http.get("/_sandbox/state").json()["forbidden"] == ["/v3/\ud800"]


def test_the_table_names_every_switch() -> None:
    """What is not in the documentation does not exist."""
    for name in remote._SWITCHES:
        assert f"`POST {name}`" in (remote.__doc__ or "")


def test_the_switches_can_be_listed(sandbox: Sandbox) -> None:
    """Whoever finds the sandbox on a port finds out what it can do."""
    with urllib.request.urlopen(f"{sandbox.base_url}/_sandbox/") as listed:  # noqa: S310 - our own address
        switches = json.load(listed)

    assert switches == {"GET": sorted(remote._LOOKS), "POST": sorted(remote._SWITCHES)}
