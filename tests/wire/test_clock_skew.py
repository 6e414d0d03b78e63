"""A clock that is wrong is noticed where another one can be seen: in the answers of the token endpoint."""

import logging
from email.utils import formatdate

import pytest
from asking import SENT_AT, AskOnce
from raw_server import RawServer, answer, saying

from daxko_auth.model.tokens import AccessToken

GRANTED = b'{"access_token": "canary.token", "expires_in": 60}'


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said about the clock."""
    return [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]


@pytest.mark.parametrize(
    ("date", "said"),
    [
        (SENT_AT + 7_200, "this machine's clock is about 7200 s behind the Date header of "),
        (SENT_AT - 7_200, "this machine's clock is about 7200 s ahead of the Date header of "),
    ],
    ids=["behind", "ahead"],
)
def test_a_clock_hours_off_is_named_with_its_error(
    ask_once: AskOnce, caplog: pytest.LogCaptureFixture, date: float, said: str
) -> None:
    """The token is good all the same; the dates in logs and stores are not, and nobody would look for it there."""
    with RawServer(saying(answer(GRANTED, Date=formatdate(date, usegmt=True)))) as server:
        outcome = ask_once(base_url=server.base_url)
        assert isinstance(outcome, AccessToken)
        assert outcome.expires_at.timestamp() == SENT_AT + 60
        assert [line.startswith(f"{said}{server.base_url}; set it.") for line in told(caplog)] == [True]


@pytest.mark.parametrize("date", [formatdate(SENT_AT + 60, usegmt=True), formatdate(SENT_AT - 60, usegmt=True), "junk"])
def test_a_clock_that_is_nearly_right_is_not_spoken_of(
    ask_once: AskOnce, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    """An answer may be seconds under way, and a header may be nonsense."""
    with RawServer(saying(answer(GRANTED, Date=date))) as server:
        assert isinstance(ask_once(base_url=server.base_url), AccessToken)
    assert told(caplog) == []


def test_a_refusal_names_the_clock_as_well(ask_once: AskOnce, caplog: pytest.LogCaptureFixture) -> None:
    """A server that checks dates may refuse for this very reason."""
    date = formatdate(SENT_AT - 7_200, usegmt=True)
    with RawServer(saying(answer(b'{"error": "invalid_client"}', "400 Bad Request", Date=date))) as server:
        ask_once(base_url=server.base_url)
    assert [record.levelno for record in caplog.records if "clock" in record.getMessage()] == [logging.WARNING]
