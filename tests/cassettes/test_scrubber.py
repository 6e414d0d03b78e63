"""
What the scrubber takes out, with canaries in every place and spelling; and what it must leave.

It works on copies: the code under test has to see the real token, or it would not work while recording.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from recording import record
from recording.placeholders import REPLAYED

from daxko_auth.testing import placeholders
from daxko_auth.testing.scan import leaks
from daxko_auth.testing.scrubber import Scrubber

CANARIES = {
    'canary/of a "pässword"+&1': placeholders.CLIENT_SECRET,
    "canary.of.the-refresh_token~1": placeholders.REFRESH_TOKEN,
    "canary of the member's pässword%41": placeholders.MEMBER_PASSWORD,
}
PASSWORD, REFRESH_TOKEN, MEMBER_PASSWORD = CANARIES
ISSUED = "canary-that-was-issued"
PARTNER = "https://api.daxko.com/v3/partners/oauth2/token"
MEMBER = "https://api.daxko.com/v3/members/oauth2/token"

FORM = {"grant_type": "client_credentials", "client_id": "daxko_api_user", "client_secret": PASSWORD}
FORM |= {"scope": "client:9999"}
LOGIN = {"username": "member_name", "password": MEMBER_PASSWORD, "grant_type": "password"}

Handler = Callable[[httpx.Request], httpx.Response]


def parts(boundary: str, fields: dict[str, str]) -> bytes:
    """Write a multipart form."""
    written = (f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    return f"{''.join(written)}--{boundary}--\r\n".encode()


BODIES: dict[str, tuple[str | None, bytes]] = {
    "multipart": ("multipart/form-data; boundary=+++", parts("+++", FORM)),
    "multipart, odd boundary": (
        'Multipart/Form-Data; charset=utf-8; BOUNDARY="odd \'()+_,-./:=?"',
        parts("odd '()+_,-./:=?", FORM),
    ),
    "multipart, file name": (
        "multipart/form-data; boundary=b",
        parts("b", FORM).replace(b'name="client_secret"', b'name="client_secret"; filename="canary"'),
    ),
    "multipart, wrong boundary": ("multipart/form-data; boundary=c", parts("b", FORM)),
    "multipart, no boundary": ("multipart/form-data", parts("b", FORM)),
    "multipart, broken off": ("multipart/form-data; boundary=b", parts("b", FORM)[:-20]),
    "multipart without a type": (None, parts("b", FORM)),
    "JSON": ("application/json", json.dumps(LOGIN).encode()),
    "JSON, charset": ("application/json; charset=utf-8", json.dumps(LOGIN, ensure_ascii=False).encode()),
    "JSON, small letters": ("APPLICATION/JSON;charset=UTF-8", json.dumps(LOGIN).encode()),
    "JSON, vendor's type": ("application/vnd.daxko+json", json.dumps(LOGIN).encode()),
    "JSON without a type": (None, json.dumps(LOGIN).encode()),
    "JSON as curl sends it": ("application/x-www-form-urlencoded", json.dumps(LOGIN).encode()),
    "JSON, nested": ("application/json", json.dumps({"a": [{"secrets": LOGIN}, PASSWORD]}).encode()),
    "JSON, as names": ("application/json", json.dumps({PASSWORD: 1, "scope": {MEMBER_PASSWORD: 1}}).encode()),
    "JSON, broken off": ("application/json", json.dumps(LOGIN).encode()[:-10]),
    "JSON, Latin-1": ("application/json; charset=latin-1", json.dumps(LOGIN, ensure_ascii=False).encode("latin-1")),
    "urlencoded": ("application/x-www-form-urlencoded", urlencode(FORM).encode()),
    "urlencoded, charset": ("application/x-www-form-urlencoded; charset=utf-8", urlencode(LOGIN).encode()),
    "urlencoded without a type": (None, urlencode(FORM).encode()),
    "text": ("text/plain", f"password: {PASSWORD}".encode()),
    "wrong type": ("image/png", json.dumps(LOGIN).encode()),
    "unknown secret": ("application/json", b'{"password": "canary", "pin": "canary", "scope": "client:9999"}'),
}


def answer(_: httpx.Request, body: object = None, headers: tuple[tuple[str, str], ...] = ()) -> httpx.Response:
    """Answer with an issued token, and with canaries in headers."""
    given = (("Set-Cookie", "a=canary-1"), ("Set-Cookie", "b=canary-2"), ("X-Token", "canary"), ("Location", "canary"))
    body = body or {"access_token": ISSUED, "expires_in": "86400", "token_type": "bearer", "refresh_token": "canary"}
    return httpx.Response(200, headers=[*given, *headers], json=body)


def recorded(path: Path, request: httpx.Request, handler: Handler = answer) -> tuple[str, httpx.Response]:
    """Send a request while recording; return the cassette's text, and the answer that the sender saw."""
    scrubber = Scrubber(CANARIES, knows_all=True)
    with record(path, scrubber, origin="a test"), httpx.Client(transport=httpx.MockTransport(handler)) as http:
        seen = http.send(request)
    text = path.read_text(encoding="utf-8")
    assert leaks(text, scrubber.secrets) == []
    return text, seen


def request(url: str, content_type: str | None, body: bytes, bearer: str = REFRESH_TOKEN) -> httpx.Request:
    """Build a request as given."""
    headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json", "Cookie": "canary"}
    return httpx.Request(
        "POST", url, content=body, headers=headers | ({"Content-Type": content_type} if content_type else {})
    )


@pytest.mark.parametrize("url", [PARTNER, MEMBER], ids=["partner", "member"])
@pytest.mark.parametrize(("content_type", "body"), BODIES.values(), ids=BODIES)
def test_no_canary_is_written_whatever_the_body_is_called(
    tmp_path: Path, url: str, content_type: str | None, body: bytes
) -> None:
    """A tool that trusts the content type writes passwords down in clear."""
    text, _ = recorded(tmp_path / "a.yaml", request(url, content_type, body))
    assert "canary" not in text.replace(str(tmp_path), "")
    assert "pässword" not in text


def test_sender_sees_the_real_answer_and_the_server_the_real_request(tmp_path: Path) -> None:
    """While recording, the library goes on with the token it was given; a scrubbed one would be refused."""
    arrived: list[bytes] = []

    def handler(asked: httpx.Request) -> httpx.Response:
        arrived.extend((asked.read(), asked.headers["Authorization"].encode()))
        return answer(asked)

    body = parts("b", FORM)
    _, seen = recorded(tmp_path / "a.yaml", request(PARTNER, "multipart/form-data; boundary=b", body), handler)
    assert arrived == [body, f"Bearer {REFRESH_TOKEN}".encode()]
    assert seen.json()["access_token"] == ISSUED
    assert seen.headers.get_list("Set-Cookie") == ["a=canary-1", "b=canary-2"]


def test_kinds_stay_readable(tmp_path: Path) -> None:
    """The bearer's kind is what a replay is about; a single word for all secrets would hide it."""
    kinds = {
        REFRESH_TOKEN: "Bearer <refresh-token>",
        ISSUED: "Bearer <member-token>",
        "canary-of-nobody": "Bearer <other-bearer>",
        f"{REFRESH_TOKEN} ": "Bearer <other-bearer>",
    }
    scrubber = Scrubber(CANARIES, knows_all=True)
    path = tmp_path / "a.yaml"
    with record(path, scrubber, origin="a test"), httpx.Client(transport=httpx.MockTransport(answer)) as http:
        for bearer in kinds:
            http.send(request(MEMBER, "application/json", b"{}", bearer))
    text = path.read_text(encoding="utf-8")
    # The token of the first answer is known from then on.
    assert [line.strip("- ") for line in text.splitlines() if "Bearer" in line] == list(kinds.values())
    assert text.count('"access_token": "placeholder-member-token"') == len(kinds)


def test_form_is_written_anew_and_whole(tmp_path: Path) -> None:
    """What is harmless stays; the boundary is always the same; no length of the old body remains."""
    text, _ = recorded(tmp_path / "a.yaml", request(PARTNER, "multipart/form-data; boundary=b", parts("b", FORM)))
    for said in (
        "client_credentials",
        "daxko_api_user",
        "client:9999",
        "<client-secret>",
        "boundary=part-of-a-cassette",
    ):
        assert said in text
    assert "content-length" not in text.lower()
    assert "--b\\r" not in text


def test_field_that_holds_the_new_boundary_is_withheld(tmp_path: Path) -> None:
    """It would end its part early, and the rest of it would be read as a field of its own."""
    form = FORM | {"scope": "a\r\n--part-of-a-cassette\r\nb"}
    text, _ = recorded(tmp_path / "a.yaml", request(PARTNER, "multipart/form-data; boundary=b", parts("b", form)))
    assert text.count("--part-of-a-cassette") == len(form) + 1


@pytest.mark.parametrize(
    ("authorization", "kept"),
    [
        ("Basic ZGF4a29fYXBpX3VzZXI6Y2FuYXJ5", "Basic <withheld>"),
        ("canary", "<withheld>"),
        ("bearer canary", "Bearer <other-bearer>"),
        ("Bearer  " + REFRESH_TOKEN, "Bearer <other-bearer>"),
    ],
)
def test_other_credentials_are_withheld(tmp_path: Path, authorization: str, kept: str) -> None:
    """A header that is not what it should be is still a credential."""
    sent = request(MEMBER, "application/json", b"{}")
    sent.headers["Authorization"] = authorization
    text, _ = recorded(tmp_path / "a.yaml", sent)
    assert f"- {kept}\n" in text


def test_address_holds_no_secret(tmp_path: Path) -> None:
    """A token in a query is written into every log on its way; it must not be written here, too."""
    query = urlencode({"a": PASSWORD, "access_token": "canary", "page": "2"})
    text, _ = recorded(tmp_path / "a.yaml", request(f"{MEMBER}?{query}", "application/json", b"{}"))
    assert "canary" not in text
    assert "page=2" in text


@pytest.mark.parametrize(
    "content",
    [
        {"error": "invalid_grant", "error_description": f"not {PASSWORD}, not eyJhbGciOiJIUzI1NiJ9.eyJ9.abc"},
        {"error_description": "d9a2652cf96d734661c10d5ff2f8061f canary-that-was-issued", "access_token": ISSUED},
        [{"member": {"name": "canary", "pin": 4711, "id_token": "canary"}}],
        "canary",
    ],
)
def test_answers_are_scrubbed_field_by_field(tmp_path: Path, content: object) -> None:
    """A refusal may repeat what was sent, and a member's answer holds what is nobody's business."""
    text, _ = recorded(
        tmp_path / "a.yaml", request(MEMBER, "application/json", b"{}"), lambda asked: answer(asked, content)
    )
    assert "canary" not in text
    assert "4711" not in text


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_compressed_answer_is_not_a_hiding_place(tmp_path: Path, coding: str) -> None:
    """A search in compressed bytes finds nothing, and a coding nobody can undo is not kept."""
    packed = gzip.compress(json.dumps({"access_token": ISSUED}).encode())

    def handler(_: httpx.Request) -> httpx.Response:
        # Handed over as a stream, so that httpx does not decode it while it is still on its way.
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
        return httpx.Response(
            200, headers=headers, stream=httpx.ByteStream(packed if coding == "gzip" else b'{"scope": "canary"}')
        )

    sent = request(MEMBER, "application/json", b"{}")
    scrubber = Scrubber(CANARIES, knows_all=True)
    with record(tmp_path / "a.yaml", scrubber, origin="a test"):
        transport = httpx.MockTransport(handler)
        transport.handle_request(sent)
    text = (tmp_path / "a.yaml").read_text(encoding="utf-8")
    assert "canary" not in text
    assert "!!binary" not in text
    assert ("placeholder-member-token" if coding == "gzip" else "<withheld>") in text


def test_scrubbing_twice_changes_nothing_more(tmp_path: Path) -> None:
    """A cassette is scrubbed once more when it is loaded, and must still say the same."""
    text, _ = recorded(tmp_path / "a.yaml", request(PARTNER, "multipart/form-data; boundary=b", parts("b", FORM)))
    scrubber = Scrubber(REPLAYED, knows_all=True)
    assert scrubber.text(scrubber.text(text)) == scrubber.text(text)
