"""
vcr_config(): what integrators record holds none of their secrets, and replays for whoever has other ones, or none.

Their own answers are left as they are; only what is a secret is taken out.
"""

import copy
import io
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from vcr import VCR
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request

from daxko_auth import ApiCredentials, CredentialsError, Secret, TokenSource
from daxko_auth.testing import vcr_config
from daxko_auth.testing.scan import leaks
from daxko_auth.testing.spellings import spellings

API = "https://api.daxko.com"
PARTNER, MEMBER, PEOPLE = f"{API}/v3/partners/oauth2/token", f"{API}/v3/members/oauth2/token", f"{API}/v3/people"
PASSWORD, REFRESH_TOKEN = "canary/of a pässword", "canary.of.the-refresh_token"
MEMBER_PASSWORD = "canary of a member"
ISSUED = {"client:9999": "canary-issued-to-9999", "client:1234": "canary-issued-to-1234"}
REAL = {"DAXKO_PASSWORD": PASSWORD, "DAXKO_REFRESH_TOKEN": REFRESH_TOKEN, "DAXKO_MEMBER_PASSWORD": MEMBER_PASSWORD}

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with an environment that knows no account."""
    for name in REAL:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def answer(request: httpx.Request) -> httpx.Response:
    """Answer as Daxko would: tokens by scope, and people."""
    body = request.read().decode("latin-1")
    if request.url.path.endswith("/oauth2/token"):
        token = next((token for scope, token in ISSUED.items() if scope in body), "canary-of-a-member")
        fields = {"access_token": token, "expires_in": "86400", "token_type": "bearer", "new_field": "canary"}
        return httpx.Response(200, json=fields, headers={"Set-Cookie": "canary"})
    return httpx.Response(200, json=[{"name": "Ann"}], headers={"Set-Cookie": "canary", "X-Page": "1"})


def recorded(path: Path, *requests: httpx.Request, handler: Handler = answer, **options: Any) -> str:
    """Record requests with the settings of now, and return the text of the cassette."""
    transport = httpx.MockTransport(handler)
    with VCR(**vcr_config(**options)).use_cassette(str(path)), httpx.Client(transport=transport) as http:
        for request in requests:
            http.send(request)
    return path.read_text("utf-8")


def replayed(path: Path, *requests: httpx.Request, **options: Any) -> list[httpx.Response]:
    """Send requests to a cassette and to nobody else, with the settings of now."""

    def unreachable(_: httpx.Request) -> httpx.Response:
        raise AssertionError("a replay must send nothing")

    # As pytest-recording passes it on, copied; `recorded` above does as pytest-vcr does.
    cassette = VCR().use_cassette(str(path), **copy.deepcopy(vcr_config(**options)), record_mode="none")
    with cassette, httpx.Client(transport=httpx.MockTransport(unreachable)) as http:
        return [http.send(request) for request in requests]


def ask(
    client_id: int = 9999, *, name: str = "real", password: str = PASSWORD, bearer: str = REFRESH_TOKEN
) -> httpx.Request:
    """Build a partner token request."""
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": password}
    files = {key: (None, value) for key, value in {**form, "scope": f"client:{client_id}"}.items()}
    return httpx.Request("POST", PARTNER, files=files, headers=headers(bearer))


def sign_in(name: str = "ann", password: str = MEMBER_PASSWORD, bearer: str = ISSUED["client:9999"]) -> httpx.Request:
    """Build a member's login."""
    login = {"username": name, "password": password, "grant_type": "password", "scope": "member:auto_login"}
    return httpx.Request("POST", MEMBER, json=login, headers=headers(bearer))


def get(url: str = PEOPLE, bearer: str = ISSUED["client:9999"]) -> httpx.Request:
    """Build a call of a resource."""
    return httpx.Request("GET", url, headers=headers(bearer))


def post(bearer: str = ISSUED["client:9999"], **body: Any) -> httpx.Request:
    """Build a call of a resource with a body."""
    return httpx.Request("POST", PEOPLE, headers=headers(bearer), **body)


def headers(bearer: str) -> dict[str, str]:
    """Return the headers that the vendor wants, and one that is nobody's business."""
    return {"Authorization": f"Bearer {bearer}", "Accept": "application/json", "X-Trace": "canary"}


@pytest.fixture(params=["known", "unknown"])
def tape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Record both token requests, a login and a call of each customer; with the account in the environment or not."""
    path = tmp_path / "tape.yaml"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "known":
            for name, value in REAL.items():
                patch.setenv(name, value)
        calls = [get(), get(bearer=ISSUED["client:1234"])]
        recorded(path, ask(), ask(1234), sign_in(), *calls)
    return path


def test_no_secret_is_recorded_whether_the_environment_knows_it_or_not(tape: Path) -> None:
    """Whoever forgot to set a variable must not publish a password for it."""
    text = tape.read_text("utf-8")
    assert "canary" not in text
    assert "pässword" not in text
    assert '"username": "<member-name>"' in text
    assert leaks(text, [*REAL.values(), *ISSUED.values()]) == []


def test_a_replay_needs_none_of_the_real_credentials(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CI has no account, or a dummy one; that must not be what decides whether the tests pass."""
    for name in REAL:
        monkeypatch.setenv(name, "dummy-of-everything")
    asked = [ask(name="dummy", password="dummy-of-everything", bearer="dummy-of-everything")]
    asked += [ask(1234, name="x", password="x", bearer="y")]
    tokens = [held.json()["access_token"] for held in replayed(tape, *asked)]

    assert tokens == ["placeholder-access-token-9999", "placeholder-access-token-1234"]
    login = sign_in("dummy", "x", tokens[0])
    (member, people) = replayed(tape, login, get(bearer=tokens[1]))
    assert member.json()["access_token"] == "placeholder-member-token"
    assert people.json() == [{"name": "Ann"}]


@pytest.mark.parametrize(
    "other",
    [
        ask(1111),
        ask(bearer=""),
        get(),
        get(bearer="placeholder-access-token-1111"),
        get(bearer="placeholder-member-token"),
        get(f"{PEOPLE}?page=2", "placeholder-access-token-9999"),
        sign_in(bearer="placeholder-member-token"),
        post("placeholder-access-token-9999", json={}),
        httpx.Request("GET", PEOPLE, headers={"Accept": "application/json"}),
        httpx.Request("GET", PEOPLE, headers=headers("placeholder-access-token-9999") | {"Accept": "text/html"}),
    ],
    ids=[
        *("another customer's token", "no bearer", "unknown bearer", "another customer's bearer", "a member's bearer"),
        *("another page", "login with a member's token", "another method", "no bearer at all", "another Accept"),
    ],
)
def test_another_request_is_not_answered(tape: Path, other: httpx.Request) -> None:
    """One customer's data must never come back for another, in a test least of all."""
    with pytest.raises(CannotOverwriteExistingCassetteException):
        replayed(tape, other)


def test_a_refresh_token_that_goes_astray_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst mistake of all is seen in a replay, where the environment or the answers tell which token is which."""
    recorded(tmp_path / "a.yaml", ask(), get())
    monkeypatch.setenv("DAXKO_REFRESH_TOKEN", "dummy-refresh-token")
    astray = [get(bearer="dummy-refresh-token"), ask(bearer="placeholder-access-token-9999")]
    for request in astray:
        with pytest.raises(CannotOverwriteExistingCassetteException):
            replayed(tmp_path / "a.yaml", request)


@pytest.mark.parametrize(("other", "said"), [(ask(1111), "client:1111"), (sign_in(bearer="x"), "<access-token>")])
def test_what_does_not_match_is_said_without_a_secret(tape: Path, other: httpx.Request, said: str) -> None:
    """Vcrpy shows the body of such a request as it was sent, where bodies are matched by vcrpy's own matcher."""
    with pytest.raises(CannotOverwriteExistingCassetteException, match=said) as refusal:
        replayed(tape, other)
    assert "canary" not in str(refusal.value)


def test_a_token_that_two_customers_are_given_is_that_of_the_one_who_asked_last(tmp_path: Path) -> None:
    """Stand-ins of other people hand out one token for all; a replay has to find its way all the same."""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": "the-same-for-all"} if request.method == "POST" else [])

    one, other = [ask(), get(bearer="the-same-for-all")], [ask(1234), get(bearer="the-same-for-all")]
    recorded(tmp_path / "a.yaml", *one, *other, handler=handler)

    replays = [ask(), get(bearer="placeholder-access-token-9999")]
    replays += [ask(1234), get(bearer="placeholder-access-token-1234")]
    assert len(replayed(tmp_path / "a.yaml", *replays)) == 4


ANSWERS: dict[str, tuple[str, bytes]] = {
    "JSON": ("application/json", b'{ "id":1.50, "name": "\\u00e4", "page_token": "abc", "code": "B"}'),
    "a UUID": ("application/json", b'{"id": "3f2b1c9e-8d7a-4c6b-9e5f-0a1b2c3d4e5f"}'),
    "a long name": ("application/json", b'["2026-summer-camp-registration-form-for-kids-v2.pdf"]'),
    "text": ("text/csv; charset=utf-8", "name,city\r\nAnn,Zürich\r\n".encode()),
    "Latin-1": ("text/plain; charset=latin-1", "Zürich".encode("latin-1")),
    "a picture": ("image/png", bytes(range(256))),
    "nothing": ("text/plain", b""),
}


@pytest.mark.parametrize(("content_type", "body"), ANSWERS.values(), ids=ANSWERS)
def test_answers_of_resources_are_kept_whole(tmp_path: Path, content_type: str, body: bytes) -> None:
    """A test of somebody's program is about these; whatever is missing from them cannot be tested."""
    given = {"Content-Type": content_type, "X-Total": "3", "Link": "<https://api.daxko.com/v3/people?page=2>"}

    text = recorded(tmp_path / "a.yaml", get(), handler=lambda _: httpx.Response(200, headers=given, content=body))
    (seen,) = replayed(tmp_path / "a.yaml", get())

    assert seen.content == body
    assert {name: seen.headers[name] for name in given} == given
    assert leaks(text) == []


SECRETS = {
    "by value": {"said": f"{PASSWORD} and {REFRESH_TOKEN}"},
    "a token that was issued": {"echo": ISSUED["client:9999"]},
    "a bearer that nobody knew": {"echo": "canary-of-yesterday"},
    "a JWT": {"link": "https://x.example/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2ln"},
    "drawn by lot": {"session": "d9a2652cf96d734661c10d5ff2f8061f"},
    "by name": [{"password": "canary", "Token": "canary", "n": {"refresh_token": 'canary"\\x'}}],
}


@pytest.mark.parametrize("content", SECRETS.values(), ids=SECRETS)
def test_secrets_in_answers_of_resources_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    """Some services repeat what they were sent, or hand out credentials of another kind."""
    monkeypatch.setenv("DAXKO_PASSWORD", PASSWORD)
    monkeypatch.setenv("DAXKO_REFRESH_TOKEN", REFRESH_TOKEN)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("token"):
            return answer(request)
        return httpx.Response(200, json=content, headers={"Location": "https://x.example/?token=canary&page=2"})

    text = recorded(tmp_path / "a.yaml", ask(), get(bearer="canary-of-yesterday"), handler=handler)

    for secret in ("canary", "pässword", "p\\xE4ssword", "eyJ", "d9a2652cf96d734661c10d5ff2f8061f"):
        assert secret not in text
    assert "page=2" in text
    assert leaks(text) == []


@pytest.mark.parametrize("spelling", sorted(spellings(PASSWORD)))
def test_a_known_value_is_taken_out_however_it_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    """What encodes an answer or an address encodes the secret in it."""
    monkeypatch.setenv("DAXKO_PASSWORD", PASSWORD)
    handler = lambda _: httpx.Response(200, text=f"before {spelling} after")  # noqa: E731 - it is short
    text = recorded(tmp_path / "a.yaml", get(), handler=handler)
    assert "before <client-secret> after" in text


def test_more_secrets_can_be_named_and_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some secrets are in no variable of ours, and some variables name a file."""
    kept = tmp_path / "refresh-token"
    kept.write_text(f"{REFRESH_TOKEN}\n", "utf-8")
    monkeypatch.setenv("DAXKO_REFRESH_TOKEN_FILE", str(kept))
    content = json.dumps({"a": "swordfish-canary", "b": "another-canary", "c": REFRESH_TOKEN})
    text = recorded(
        tmp_path / "a.yaml",
        get(),
        handler=lambda _: httpx.Response(200, text=content),
        secrets=["swordfish-canary", Secret("another-canary")],
    )
    assert "canary" not in text
    assert (
        '{"a": "<withheld>", "b": "<withheld>", "c": "<refresh-token>"}'
        in yaml.safe_load(text)["interactions"][0]["response"]["body"]["string"]
    )


def test_a_file_that_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on would record what it holds."""
    monkeypatch.setenv("DAXKO_PASSWORD_FILE", "/nowhere")
    with pytest.raises(CredentialsError, match="DAXKO_PASSWORD_FILE"):
        vcr_config()


def test_a_short_dummy_does_not_change_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded with a real password has to match what is asked with "test", which stands in many words."""
    recorded(tmp_path / "a.yaml", get(f"{API}/v3/latest"))
    monkeypatch.setenv("DAXKO_PASSWORD", "test")
    assert replayed(tmp_path / "a.yaml", get(f"{API}/v3/latest"))


def test_what_one_test_learned_the_next_one_knows() -> None:
    """Plugins copy the settings for each test; a token of the last one may still be in use."""
    settings = vcr_config()
    first, second = copy.deepcopy(settings), copy.deepcopy(settings)
    first["before_record_request"](Request("GET", PEOPLE, b"", headers("canary-of-a-token")))
    scrubbed = second["before_record_request"](Request("GET", f"{PEOPLE}/canary-of-a-token", b"", {}))
    assert scrubbed.uri == f"{PEOPLE}/<withheld>"


def test_a_dummy_password_changes_nothing_that_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vcrpy has recorded answers scrubbed once more; a dummy that is a word must not be taken out of them."""
    handler = lambda _: httpx.Response(200, json={"name": "swimming lessons"})  # noqa: E731 - it is short
    recorded(tmp_path / "a.yaml", get(), handler=handler)
    monkeypatch.setenv("DAXKO_PASSWORD", "swimming")

    (seen,) = replayed(tmp_path / "a.yaml", get())

    assert seen.json() == {"name": "swimming lessons"}


BODIES: dict[str, dict[str, Any]] = {
    "JSON": {"json": {"name": "Ann", "age": 7, "tags": ["a", None, True]}},
    "form": {"data": {"name": "Ann", "empty": ""}},
    "multipart": {"files": {"name": (None, "Ann"), "picture": ("a.txt", b"text", "text/plain")}},
    "nothing": {},
    "long": {"json": {"text": "many words " * 1000}},
}


@pytest.mark.parametrize("body", BODIES)
def test_the_same_call_is_answered_and_another_is_not(tmp_path: Path, body: str) -> None:
    """Vcrpy compares no body by default: a call that creates Ann would be answered as the one that created Ben."""
    path = tmp_path / "a.yaml"
    text = recorded(path, post(**BODIES[body]))

    assert replayed(path, post(**BODIES[body]))
    for name, other in BODIES.items():
        if name != body:
            with pytest.raises(CannotOverwriteExistingCassetteException):
                replayed(path, post(**other))
    with pytest.raises(CannotOverwriteExistingCassetteException):
        replayed(path, post(json={"text": "many words " * 999 + "many wards "}))
    assert leaks(text) == []


def test_secrets_in_calls_of_resources_are_withheld(tmp_path: Path) -> None:
    """Credentials of other services travel in bodies, queries and file names, too."""
    one = post(json={"password": "canary-1", "deep": [{"api_key": "canary-2", "n": 1}]})
    two = post(files={"token": ("eyJhbGciOiJIUzI1NiJ9.txt", b"canary"), "kept": (None, "said")})
    three = get(f"{PEOPLE}?token=canary&postal_code=12345")
    four = httpx.Request("GET", PEOPLE, headers={"Authorization": "Basic Y2FuYXJ5", "Cookie": "canary"})
    text = recorded(tmp_path / "a.yaml", one, two, three, four)

    assert "canary" not in text
    assert "eyJ" not in text
    for kept in ("postal_code=12345", "said", '"n": 1', "Basic <withheld>"):
        assert kept in text


UNREADABLE: dict[str, dict[str, Any]] = {
    "broken JSON": {"content": '{"a": ', "headers": {"Content-Type": "application/json"}},
    "bytes": {"content": bytes(range(256))},
    "a part without a name": {
        "content": "--b\r\nContent-Type: text/plain\r\n\r\ncanary\r\n--b--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=b"},
    },
    "compressed": {"content": b'{"a": 1}', "headers": {"Content-Encoding": "gzip"}},
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_body_is_withheld_and_matches_nothing(tmp_path: Path, body: dict[str, Any]) -> None:
    """Nobody knows what is secret in it, nor whether another one says the same."""
    request = lambda: httpx.Request("POST", PEOPLE, **body)  # noqa: E731 - it is short
    text = recorded(tmp_path / "a.yaml", request())
    assert "<withheld>" in text
    assert "canary" not in text
    with pytest.raises(CannotOverwriteExistingCassetteException):
        replayed(tmp_path / "a.yaml", request())


@pytest.mark.parametrize("level", ["vcr", "vcr.cassette"])
def test_answers_are_not_logged_before_they_are_scrubbed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: str
) -> None:
    """Vcrpy logs each answer whole, and pytest prints what was logged by a test that fails."""
    caplog.set_level(logging.DEBUG, level)
    recorded(tmp_path / "a.yaml", ask())
    assert "Appending request" in caplog.text
    assert "canary" not in caplog.text


def test_an_answer_that_is_logged_in_another_way_is_left_out_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """The next vcrpy may say it in other words."""
    caplog.set_level(logging.DEBUG)
    vcr_config()
    log = logging.getLogger("vcr.cassette")
    log.info("%s", {"body": "canary"})
    log.info("%s and %d and %s", {"body": "canary"}, 2, "text")
    log.info("nothing")
    assert caplog.messages[-3:] == ["<withheld>", "<withheld> and 2 and text", "nothing"]


def test_many_configurations_are_one_filter() -> None:
    """Test modules make one each."""
    before = list(logging.getLogger("vcr.cassette").filters)
    vcr_config()
    vcr_config()
    assert len(logging.getLogger("vcr.cassette").filters) <= len(before) + 1


def test_the_program_sees_the_real_token_while_it_is_recorded(tmp_path: Path) -> None:
    """A scrubbed one would be refused by the next request."""
    credentials = ApiCredentials("somebody", PASSWORD, REFRESH_TOKEN)
    source = TokenSource(credentials, API, http=httpx.MockTransport(answer))
    with VCR(**vcr_config()).use_cassette(str(tmp_path / "a.yaml")) as cassette, source:
        assert source.token(9999).reveal() == ISSUED["client:9999"]
    assert len(cassette) == 1


SPELLED_BODIES = {
    "bytes": b'{"a": 1}',
    "text": '{"a": 1}',
    "a file": io.BytesIO(b'{"a": 1}'),
    "an iterator": iter([b'{"a"', b": 1}"]),
    "a list": ['{"a"', bytearray(b": 1}")],
}


@pytest.mark.parametrize("body", SPELLED_BODIES.values(), ids=SPELLED_BODIES)
def test_bodies_of_other_http_libraries_are_read(body: object) -> None:
    """Vcrpy hands over what the library was given: requests sends files and generators, and headers as bytes."""
    scrub = vcr_config()["before_record_request"]
    headers = {"content-type": b"application/json", "AUTHORIZATION": b"Bearer canary"}
    scrubbed = scrub(Request("POST", PEOPLE, body, headers))

    assert scrubbed.body == b'{"a": 1}'
    said = {
        "Authorization": "Bearer <access-token>",
        "Content-Type": "application/json",
        "Scrubbed-Body": 'json {"a": 1}',
    }
    assert dict(scrubbed.headers) == said


def test_a_request_without_a_body_says_so() -> None:
    """Most libraries say None, some nothing, some an empty text: one request all the same."""
    scrub = vcr_config()["before_record_request"]
    assert [dict(scrub(Request("GET", PEOPLE, body, {})).headers) for body in (None, b"", "")] == [
        {"Scrubbed-Body": "nothing"}
    ] * 3


@pytest.mark.parametrize("body", [{"password=": "canary"}, 7, [1, 2]])
def test_a_body_that_cannot_be_had_is_withheld(body: object) -> None:
    """What is not looked at is not written down."""
    scrubbed = vcr_config()["before_record_request"](Request("POST", PEOPLE, body, {}))
    assert scrubbed.body == b"<withheld>"
    assert "unreadable" in scrubbed.headers["Scrubbed-Body"]


def test_an_answer_without_its_request_is_taken_for_a_tokens() -> None:
    """In doubt, what nobody knows is withheld."""
    answered = {"status": {"code": 200, "message": "OK"}, "headers": {"content-type": "application/json"}}
    scrubbed = vcr_config()["before_record_response"](
        answered | {"body": {"string": b'{"pin": 1, "scope": "client:1"}'}}
    )
    assert scrubbed["body"]["string"] == b'{"pin": "<withheld>", "scope": "client:1"}'
    assert scrubbed["headers"] == {"content-type": ["application/json"]}


def test_an_answer_in_a_coding_that_nobody_undoes_is_withheld(tmp_path: Path) -> None:
    """Nothing is found in compressed bytes, so nothing could be taken out."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "odd", "X-Page": "1"}, content=b"canary")

    text = recorded(tmp_path / "a.yaml", get(), handler=handler)
    assert "canary" not in text
    (seen,) = replayed(tmp_path / "a.yaml", get())
    assert (seen.text, seen.headers["X-Page"]) == ("<withheld>", "1")
    assert "Content-Encoding" not in seen.headers


def test_threads_do_not_mix_up_whose_answer_is_scrubbed(tmp_path: Path) -> None:
    """A resource's answer taken for a token's would lose its fields, and the other way round a token would stay."""
    config = vcr_config()
    asked, done = threading.Event(), threading.Event()

    def token_request() -> None:
        config["before_record_request"](Request("POST", PARTNER, b"", {}))
        asked.set()
        done.wait()

    thread = threading.Thread(target=token_request, daemon=True)
    config["before_record_request"](Request("GET", PEOPLE, b"", {}))
    thread.start()
    asked.wait()
    answered = {"status": {"code": 200}, "headers": {}, "body": {"string": b'{"pin": 1}'}}
    kept = config["before_record_response"](answered)
    done.set()
    thread.join()
    assert kept["body"]["string"] == b'{"pin": 1}'
