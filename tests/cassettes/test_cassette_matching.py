"""
A request is answered from a cassette only if it is the recorded one, field by field.

vcrpy's own matching compares no body: one customer's request would get another's token.
"""

from collections.abc import Callable

import httpx
import pytest
from attrs import evolve
from recording import replay
from recording.stage import Stage
from vcr.errors import CannotOverwriteExistingCassetteException

from daxko_auth import Secret

Send = Callable[[Stage], object]

STAGE = Stage.for_replay()
PARTNER, MEMBER = "/v3/partners/oauth2/token", "/v3/members/oauth2/token"
NO_BEARER = Secret("")
OTHER = Secret("another-bearer")


def at(base_url: str) -> Stage:
    """Return the stage at another address."""
    return evolve(STAGE, base_url=base_url)


def multipart(boundary: str, *fields: tuple[str, str], part_header: str = "") -> dict[str, object]:
    """Write a form by hand, with any boundary and any order."""
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n{part_header}\r\n{value}\r\n'
        for name, value in fields
    )
    content_type = f'multipart/form-data; charset=utf-8; boundary="{boundary}"'
    return {"files": None, "content": f"{parts}--{boundary}--\r\n", "headers": {"Content-Type": content_type}}


FIELDS = tuple(STAGE.form().items())

OTHER_PARTNER_REQUESTS: dict[str, Send] = {
    "wrong scope": lambda stage: stage.post_form({"scope": "client:1111"}),
    "wrong username": lambda stage: stage.post_form({"client_id": "somebody"}),
    "wrong password": lambda stage: stage.post_form({"client_secret": "another-password"}),
    "wrong grant": lambda stage: stage.post_form({"grant_type": "password"}),
    "missing field": lambda stage: stage.post_form({"client_secret": None}),
    "field too many": lambda stage: stage.post_form({"extra": "1"}),
    "field twice": lambda stage: stage.post_form(**multipart("b", *FIELDS, FIELDS[-1])),
    "other order": lambda stage: stage.post_form(**multipart("b", *reversed(FIELDS))),
    "part with a content type": lambda stage: stage.post_form(
        **multipart("b", *FIELDS, part_header="Content-Type: text/plain\r\n")
    ),
    "part with a file name": lambda stage: stage.post_form(files={name: ("f", text) for name, text in FIELDS}),
    "JSON": lambda stage: stage.post_form(files=None, json=stage.form()),
    "urlencoded": lambda stage: stage.post_form(files=None, data=stage.form()),
    "no body": lambda stage: stage.post_form(files=None),
    "broken body": lambda stage: stage.post_form(**multipart("b", *FIELDS) | {"content": "--b\r\nscope=client:9999"}),
    "access token as bearer": lambda stage: stage.post_form(bearer=stage.access_token),
    "other bearer": lambda stage: stage.post_form(bearer=OTHER),
    "no bearer": lambda stage: stage.post_form(bearer=NO_BEARER),
    "other Accept": lambda stage: stage.post_form(accept="text/html"),
    "other method": lambda stage: stage.post_form(method="PUT"),
    "other path": lambda stage: stage.send(
        MEMBER, bearer=stage.credentials.refresh_token, files={name: (None, text) for name, text in FIELDS}
    ),
    "query": lambda stage: stage.post_form(params={"a": "1"}),
    "other host": lambda _: at("https://api.example.com").post_form(),
    "other port": lambda _: at("https://api.daxko.com:8443").post_form(),
    "plain http": lambda stage: httpx.post(
        f"http://api.daxko.com:443{PARTNER}",
        files={name: (None, text) for name, text in FIELDS},
        headers={"Authorization": f"Bearer {stage.credentials.refresh_token.reveal()}", "Accept": "application/json"},
    ),
}

OTHER_MEMBER_REQUESTS: dict[str, Send] = {
    "wrong scope": lambda stage: stage.post_login({"scope": "client:9999"}),
    "wrong member": lambda stage: stage.post_login({"username": "somebody"}),
    "wrong password": lambda stage: stage.post_login({"password": "another-password"}),
    "API password": lambda stage: stage.post_login({"password": stage.credentials.password.reveal()}),
    "missing field": lambda stage: stage.post_login({"grant_type": None}),
    "field too many": lambda stage: stage.post_login({"extra": "1"}),
    "urlencoded": lambda stage: stage.post_login(json=None, data=stage.login()),
    "form": lambda stage: stage.post_login(json=None, files={n: (None, v) for n, v in stage.login().items()}),
    "broken JSON": lambda stage: stage.post_login(
        json=None, content='{"username": "member_name"', headers={"Content-Type": "application/json"}
    ),
    "refresh token as bearer": lambda stage: stage.post_login(bearer=stage.credentials.refresh_token),
    "no bearer": lambda stage: stage.post_login(bearer=NO_BEARER),
}


@pytest.mark.parametrize("send", OTHER_PARTNER_REQUESTS.values(), ids=OTHER_PARTNER_REQUESTS)
def test_another_token_request_is_not_answered(send: Send) -> None:
    """A test whose code asks for the wrong thing must go red, not get the right token."""
    with replay("partner-granted", whole=False), pytest.raises(CannotOverwriteExistingCassetteException):
        send(STAGE)


@pytest.mark.parametrize("send", OTHER_MEMBER_REQUESTS.values(), ids=OTHER_MEMBER_REQUESTS)
def test_another_login_is_not_answered(send: Send) -> None:
    """The same for members: a login with the wrong bearer or body must not be answered with a token."""
    with replay("member-signed-in", whole=False), pytest.raises(CannotOverwriteExistingCassetteException):
        send(STAGE)


@pytest.mark.parametrize("boundary", ["+++", "x", "0123456789abcdef", "odd '()+_,-./:=?"])
def test_another_boundary_is_the_same_request(boundary: str) -> None:
    """A new boundary is drawn by httpx for every request, so comparing bytes would match nothing."""
    with replay("partner-granted"):
        assert STAGE.post_form(**multipart(boundary, *FIELDS)).is_success


def test_another_spelling_of_json_is_the_same_login() -> None:
    """Spaces, the order of names and a charset say nothing."""
    body = '{ "scope":"member:auto_login","grant_type":"password",\n"password":"%s","username":"member_name" }'
    content_type = {"Content-Type": "application/json; charset=utf-8"}
    with replay("member-signed-in"):
        STAGE.post_login(json=None, content=body % STAGE.member_password.reveal(), headers=content_type)


def test_refusal_to_match_names_what_differs_and_no_secret() -> None:
    """Whoever reads the red test must see which field it was, and a build's log is public."""
    canary = "canary-of-a-password"
    with (
        replay("partner-granted", whole=False),
        pytest.raises(CannotOverwriteExistingCassetteException, match="client:1111") as refusal,
    ):
        STAGE.post_form({"scope": "client:1111", "client_secret": canary}, bearer=Secret("canary-of-a-token"))
    assert "Scrubbed-Body" in str(refusal.value)
    assert "canary" not in str(refusal.value)
