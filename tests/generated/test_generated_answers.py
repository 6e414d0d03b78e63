"""How the generated functions take an answer: as a typed result or a typed error, without its secrets."""

import asyncio
import json
import pickle
from types import ModuleType

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxko_api import AuthenticatedClient
from daxko_api.api.members import request_member_token
from daxko_api.api.partners import request_access_token
from daxko_api.errors import UnexpectedBody, UnexpectedStatus
from daxko_api.models import AccessTokenRequest, ErrorResponse, MemberTokenRequest, TokenResponse
from daxko_api.types import Response

CANARY = "canary-4fd1c8"
PARTNER = (request_access_token, AccessTokenRequest("user", CANARY, "client:9999"))
MEMBER = (request_member_token, MemberTokenRequest("name", CANARY))
BOTH = pytest.mark.parametrize("call", [PARTNER, MEMBER], ids=["partner", "member"])
TOKEN = {"access_token": CANARY, "expires_in": 86400, "token_type": "Bearer"}

NOT_WHAT_THE_SPEC_SAYS = {
    "html": f"<html>{CANARY}</html>".encode(),
    "empty": b"",
    "bad utf-8": b'{"access_token": "\xff"}',
    "too deep": b"[" * 100_000,
    "a huge number": b'{"expires_in": ' + b"9" * 10_000 + b"}",
    "null": b"null",
    "a number": b"5",
    "a string": json.dumps(CANARY).encode(),
    "a list": json.dumps([CANARY]).encode(),
    "a list of pairs": json.dumps([["access_token", CANARY]]).encode(),
    "a missing key": json.dumps({"access_token": CANARY}).encode(),
    "a null token": json.dumps({**TOKEN, "access_token": None}).encode(),
    "a list for a token": json.dumps({**TOKEN, "access_token": [CANARY]}).encode(),
    "true for seconds": json.dumps({**TOKEN, "expires_in": True}).encode(),
    "a fraction for seconds": json.dumps({**TOKEN, "expires_in": 1.5}).encode(),
}
ODD_BODY = pytest.mark.parametrize("content", NOT_WHAT_THE_SPEC_SAYS.values(), ids=NOT_WHAT_THE_SPEC_SAYS.keys())

Call = tuple[ModuleType, AccessTokenRequest | MemberTokenRequest]
Parsed = Response[ErrorResponse | TokenResponse]


def ask(call: Call, status: int, content: bytes, *, raising: bool = True, media_type: str = "") -> Parsed:
    """Send one request and have it answered with `status` and `content`."""
    headers = {"Content-Type": media_type} if media_type else {}
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers=headers))
    client = AuthenticatedClient(
        "https://api.daxko.test", CANARY, raise_on_unexpected_status=raising, httpx_args={"transport": transport}
    )
    module, body = call
    answer: Parsed = module.sync_detailed(client=client, body=body)
    return answer


@BOTH
@pytest.mark.parametrize("status", [299, 302, 403, 418, 499, 600, 999])
def test_undocumented_status_is_an_unexpected_status_that_holds_no_body(call: Call, status: int) -> None:
    """The original prints the whole body in the message, and a body can hold a token."""
    with pytest.raises(UnexpectedStatus) as caught:
        ask(call, status, CANARY.encode())
    assert caught.value.status_code == status
    assert CANARY not in f"{caught.value!s} {caught.value!r} {vars(caught.value)}"
    assert ask(call, status, b"", raising=False).status_code == status


@BOTH
@pytest.mark.parametrize("status", [500, 503, 520, 561])
def test_status_without_a_name_in_python_is_a_plain_number(call: Call, status: int) -> None:
    """HTTPStatus(520) raises ValueError before anybody can handle the gateway's answer."""
    answer = ask(call, status, b'{"error": "server_error"}')
    assert type(answer.status_code) is int
    assert answer.status_code == status
    assert isinstance(answer.parsed, ErrorResponse)


@BOTH
@ODD_BODY
def test_documented_status_with_another_body_is_an_unexpected_body(call: Call, content: bytes) -> None:
    """Whoever asks for exceptions gets one of ours, with neither the body nor the exception that quotes it."""
    with pytest.raises(UnexpectedBody) as caught:
        ask(call, 200, content, media_type="text/html; charset=utf-8")
    error = caught.value
    assert (error.status_code, error.content_type) == (200, "text/html")
    assert error.__context__ is None
    assert error.__cause__ is None
    assert CANARY not in f"{error!s} {error!r} {vars(error)}"


@BOTH
@ODD_BODY
@pytest.mark.parametrize("status", [200, 400, 401, 406, 429, 502, 503])
def test_no_answer_raises_when_exceptions_are_not_wanted(call: Call, status: int, content: bytes) -> None:
    """The caller that reads status and content itself must not also have to catch what a parser may throw."""
    answer = ask(call, status, content, raising=False)
    assert answer.parsed is None
    assert (answer.status_code, answer.content) == (status, content)


@given(
    status=st.integers(200, 599),
    content=st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*TOKEN, "error", "error_uri", "x"]), inner),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_whatever_is_answered_nothing_raises_and_what_is_parsed_is_of_its_type(status: int, content: bytes) -> None:
    """The list of odd bodies above is ours; the next one is somebody else's."""
    parsed = ask(PARTNER, status, content, raising=False).parsed
    if isinstance(parsed, TokenResponse):
        assert isinstance(parsed.access_token, str)
    if isinstance(parsed, ErrorResponse):
        assert isinstance(parsed.error, str)


@BOTH
def test_error_codes_that_no_standard_lists_are_kept(call: Call) -> None:
    """A closed enum would raise on the first code the vendor invents."""
    answer = ask(call, 401, b'{"error": "account_suspended", "error_id": 7}')
    assert isinstance(answer.parsed, ErrorResponse)
    assert answer.parsed.error == "account_suspended"
    assert answer.parsed["error_id"] == 7


@pytest.mark.parametrize("error", [UnexpectedStatus(520), UnexpectedBody(200, "text/html")])
def test_errors_survive_pickling(error: Exception) -> None:
    """An error that crosses from a worker process must arrive as itself."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made on this very line
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_asyncio_takes_answers_in_the_same_way() -> None:
    """Both sides share one parser, and a template change must not part them."""
    client = AuthenticatedClient(
        "https://api.daxko.test",
        CANARY,
        httpx_args={"transport": httpx.MockTransport(lambda _: httpx.Response(520, text=CANARY))},
    )
    with pytest.raises(UnexpectedBody, match="520"):
        asyncio.run(request_access_token.asyncio(client=client, body=PARTNER[1]))


def test_no_repr_of_a_model_or_an_answer_shows_a_value() -> None:
    """A log line or a debugger that prints one must not print a secret, not even one in a field added tomorrow."""
    token = TokenResponse(CANARY, CANARY, CANARY)
    token[CANARY] = CANARY
    error = ErrorResponse(error=CANARY, error_description=CANARY)
    answer = ask(PARTNER, 200, json.dumps(TOKEN).encode(), media_type=CANARY)

    assert repr(token) == "TokenResponse(access_token=..., expires_in=..., token_type=..., 1 additional)"
    assert repr(error) == "ErrorResponse(error=..., error_description=...)"
    assert repr(PARTNER[1]) == "AccessTokenRequest(client_id=..., client_secret=..., scope=..., grant_type=...)"
    assert repr(MEMBER[1]) == "MemberTokenRequest(username=..., password=..., grant_type=..., scope=...)"
    assert repr(answer).startswith("Response(status_code=200, parsed=TokenResponse(")
    assert CANARY not in repr([token, error, answer, PARTNER, MEMBER])


def test_value_in_the_wrong_field_is_not_quoted() -> None:
    """Swapped arguments are how passwords get into error messages."""
    with pytest.raises(ValueError, match="grant_type") as caught:
        AccessTokenRequest.from_dict({**AccessTokenRequest("u", "p", "client:1").to_dict(), "grant_type": CANARY})
    assert CANARY not in str(caught.value)
