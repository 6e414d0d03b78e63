"""No log of a token request holds a credential or a token, however much is logged."""

import logging

import pytest
from asking import AskOnce

from daxko_auth.model.errors import TokenRequestError
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Failure, Sandbox

FAILURES = [
    Failure("status", 503),
    Failure("html"),
    Failure("malformed"),
    Failure("drop"),
    Failure("cut"),
    Failure("redirect", 307, location="https://evil.example/"),
    Failure("answer", 401, body={"error": "invalid_client"}),
]


@pytest.mark.parametrize("failure", [None, *FAILURES], ids=str)
def test_no_logger_of_anybody_is_told_a_secret(
    sandbox: Sandbox, ask_once: AskOnce, caplog: pytest.LogCaptureFixture, failure: Failure | None
) -> None:
    """Programs set the root logger to DEBUG when something is wrong, and paste what they get."""
    if failure:
        sandbox.fail_next(1, failure)
    with caplog.at_level(logging.DEBUG):
        outcome = ask_once()
    logged = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert "httpcore" in logged
    for secret in (sandbox.password, sandbox.refresh_token, sandbox.refresh_token.rpartition(".")[2]):
        assert secret not in logged
    if isinstance(outcome, AccessToken):
        assert outcome.reveal() not in logged
    else:
        assert isinstance(outcome, TokenRequestError)
    assert isinstance(outcome, TokenRequestError) is (failure is not None)


def test_an_error_keeps_no_request_and_no_answer(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """Errors of httpx hold both; a program that pickles, or an error reporter that walks ours, finds neither."""
    for failure in FAILURES:
        sandbox.fail_next(1, failure)
        outcome = ask_once()
        assert isinstance(outcome, TokenRequestError)
        assert set(vars(outcome)) == {
            "what",
            "server_said",
            "advice",
            "scope",
            "status_code",
            "error",
            "error_description",
            "retryable",
            "retry_after",
        }
        assert all(isinstance(value, str | int | float | bool | None) for value in vars(outcome).values())
        assert [type(arg) for arg in outcome.args] == [str]
