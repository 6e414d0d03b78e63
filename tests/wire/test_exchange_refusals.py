"""A token request that Daxko refuses."""

import httpx
import pytest
from asking import AskOnce
from raw_server import everything_about

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import TokenRefused, TokenResponseInvalid
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize(
    ("change", "scope", "expected"),
    [
        ({"username": "somebody"}, 9999, (400, "invalid_client", "Check the username and password of account ")),
        ({"password": "canary-of-one"}, 9999, (400, "invalid_client", "Check the username and password of account ")),
        ({"refresh_token": "canary.of.a.token"}, 9999, (401, "invalid_client", "Check the refresh token of account ")),
        ({}, 4711, (400, "unauthorized_client", "Ask Daxko whether it has linked account ")),
    ],
    ids=["username", "password", "refresh token", "Daxko client"],
)
def test_a_wrong_credential_is_refused_with_code_status_and_scope(
    sandbox: Sandbox, ask_once: AskOnce, change: dict[str, str], scope: int, expected: tuple[int, str, str]
) -> None:
    """The caller must learn that asking again is useless, and what to check."""
    status, error, advice = expected
    given = {"username": sandbox.username, "password": sandbox.password, "refresh_token": sandbox.refresh_token}
    outcome = ask_once(scope, account=ApiCredentials(**given | change))
    assert type(outcome) is TokenRefused
    assert (outcome.status_code, outcome.error, outcome.scope) == (status, error, f"client:{scope}")
    assert outcome.error_description
    assert (outcome.retryable, outcome.retry_after) == (False, None)
    assert (
        f"no access token for client:{scope}: {sandbox.base_url}/v3/partners/oauth2/token refused ({status}, {error}: "
        in str(outcome)
    )
    assert outcome.advice.startswith(advice)
    assert str(outcome) == f"{outcome.what}. {outcome.advice}"
    assert outcome.server_said == f"{error}: {outcome.error_description}".rstrip(".")
    assert "canary" not in everything_about(outcome)
    assert sandbox.token_requests() == 1


CODES = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "daxko_new_code",
    "Ganz neu!",
]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409])
def test_every_code_is_passed_on_whatever_the_status(
    sandbox: Sandbox, ask_once: AskOnce, status: int, code: str
) -> None:
    """New codes are possible, and some servers answer 200 with an error in the body."""
    sandbox.fail_next(1, "answer", status=status, body={"error": code, "access_token": "canary", "expires_in": 60})
    outcome = ask_once()
    assert type(outcome) is TokenRefused
    assert (outcome.error, outcome.error_description, outcome.status_code) == (code, None, status)
    assert f"({status}, {code})" in str(outcome)
    assert "canary" not in everything_about(outcome)


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("body", ["", "[]", "canary", {"error": None}, {"error": 7}, {"error": "  "}])
def test_a_refusal_without_a_reason_is_a_refusal(
    sandbox: Sandbox, ask_once: AskOnce, status: int, body: object
) -> None:
    """A gateway's 401 may have no body; the account is refused all the same."""
    sandbox.fail_next(1, "answer", status=status, body=body, content_type="text/plain")
    outcome = ask_once()
    assert type(outcome) is TokenRefused
    assert (outcome.error, outcome.server_said) == (None, None)
    assert f"({status}, no reason given). Check the username, password and refresh token of account " in str(outcome)
    assert "canary" not in everything_about(outcome)


@pytest.mark.parametrize(
    ("body", "challenge", "advice"),
    [
        ({}, 'Bearer error="invalid_token"', "Check the refresh token of account 'daxko_api_user'; Daxko gives a new"),
        ({"message": "Unauthorized"}, None, "A gateway in front of Daxko says so. Check the refresh token of account"),
        ({}, None, "Check the username, password and refresh token of account 'daxko_api_user', and that Daxko has"),
    ],
    ids=["refused bearer", "gateway", "no reason"],
)
def test_the_advice_follows_the_cause(
    ask_once: AskOnce, body: dict[str, str], challenge: str | None, advice: str
) -> None:
    """A bearer that is refused, a gateway and a wrong password have different cures."""
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    outcome = ask_once(transport=httpx.MockTransport(lambda _: httpx.Response(401, json=body, headers=headers)))
    assert type(outcome) is TokenRefused
    assert outcome.advice.startswith(advice)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_the_page_of_a_firewall_is_no_answer_of_daxko(sandbox: Sandbox, ask_once: AskOnce, status: int) -> None:
    """Nothing is wrong with the password, and whoever is told so looks in the wrong place."""
    page = "<title>Request blocked</title> canary"
    sandbox.fail_next(1, "answer", status=status, body=page, content_type="text/html")
    outcome = ask_once()
    assert type(outcome) is TokenResponseInvalid
    assert outcome.status_code == status
    assert f'answered {status} with text/html, titled "Request blocked"' in outcome.what
    assert outcome.advice.endswith("that no proxy or firewall answers in its place")
    assert "canary" not in everything_about(outcome)


def test_what_the_server_says_is_masked_shortened_and_made_printable(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """Servers echo what they were sent; a message is pasted into tickets."""
    said = f"\x1b[31m{sandbox.password}\r\nBearer {sandbox.refresh_token} " + "wrong " * 200
    sandbox.fail_next(1, "answer", status=400, body={"error": f"bad {sandbox.password}", "error_description": said})
    outcome = ask_once()
    assert type(outcome) is TokenRefused
    assert outcome.error == "bad ***"
    assert outcome.error_description is not None
    assert outcome.error_description.startswith("[31m*** Bearer *** wrong wrong")
    assert len(outcome.error_description) == 200
    assert str(outcome).isprintable()
    everything = everything_about(outcome)
    assert sandbox.password not in everything
    assert sandbox.refresh_token not in everything


def test_a_reason_that_ends_with_a_full_stop_is_part_of_our_sentence(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """The full stop comes off, and no letter with it."""
    sandbox.fail_next(1, "answer", status=400, body={"error": "oh", "error_description": "There is no X."})

    assert "refused (400, oh: There is no X). Check" in str(ask_once())


def test_a_password_that_is_a_word_of_the_code_changes_nothing(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """The code is compared by programs, and must not depend on the password."""
    outcome = ask_once(account=ApiCredentials(sandbox.username, "client", sandbox.refresh_token))
    assert type(outcome) is TokenRefused
    assert outcome.error == "invalid_client"
