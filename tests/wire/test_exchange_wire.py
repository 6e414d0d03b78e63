"""A token request that succeeds: what is on the wire, and what comes of it."""

import logging
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser

import pytest
from asking import SENT_AT, AskOnce
from raw_server import RawServer, answer, saying
from support import PATIENCE

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.origin import Origin
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.tokens import AccessToken
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.exchange import Exchange

GRANTED = b'{"access_token": "canary.token", "expires_in": "86400", "token_type": "bearer"}'


def test_the_guides_credentials_become_a_token_of_the_client_asked_for(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """The sandbox judges the request by the guide; one request, and the token carries its scope."""
    token = ask_once(1234)
    assert isinstance(token, AccessToken)
    assert token.scope == ClientScope(1234)
    (arrival,) = sandbox.log
    assert (arrival.method, arrival.path, arrival.status) == ("POST", "/v3/partners/oauth2/token", 200)
    assert (arrival.bearer, arrival.body, arrival.scope) == ("refresh_token", "multipart", "client:1234")


def test_the_life_counts_from_the_moment_of_sending(ask_once: AskOnce) -> None:
    """The answer may have been long under way; a token thought to live longer than it does is worse than none."""
    token = ask_once()
    assert isinstance(token, AccessToken)
    assert token.expires_in == 86_400
    assert token.expires_at == datetime.fromtimestamp(SENT_AT, UTC) + timedelta(days=1)


def test_the_request_is_the_guides_curl_part_by_part(ask_once: AskOnce) -> None:
    """Four bare parts in the guide's order, the refresh token as the bearer, JSON wanted, nothing compressed."""
    with RawServer(saying(answer(GRANTED))) as server:
        assert isinstance(
            ask_once(base_url=server.base_url, account=ApiCredentials("us\u00e9r", 'p"w+++', "re.fresh")), AccessToken
        )
        (request,) = server.requests
    line, _, rest = request.partition(b"\r\n")
    assert line == b"POST /v3/partners/oauth2/token HTTP/1.1"
    message = BytesParser().parsebytes(rest)
    assert message["Authorization"] == "Bearer re.fresh"
    assert message["Accept"] == "application/json"
    assert message["Accept-Encoding"] == "identity"
    assert message["Cookie"] is None
    assert message.get_content_type() == "multipart/form-data"
    parts = message.get_payload()
    assert isinstance(parts, list)
    sent = []
    for part in parts:
        assert isinstance(part, Message)
        assert part.keys() == ["Content-Disposition"]
        assert part.get_filename() is None
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        sent.append((part.get_param("name", header="content-disposition"), value.decode()))
    assert sent == [
        ("grant_type", "client_credentials"),
        ("client_id", "us\u00e9r"),
        ("client_secret", 'p"w+++'),
        ("scope", "client:9999"),
    ]


def test_each_request_is_its_own_and_the_exchange_remembers_nothing(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:
    """Remembering and retrying are decisions, and decisions are made elsewhere."""
    exchange = Exchange(credentials, Origin.of(sandbox.base_url))
    first, second = (exchange.request(ClientScope(9999), sent_at=SENT_AT, timeout=PATIENCE) for _ in range(2))
    assert isinstance(first, AccessToken)
    assert isinstance(second, AccessToken)
    assert first != second
    assert sandbox.token_requests() == 2


def test_an_assumed_life_is_logged_once_and_without_the_token(
    ask_once: AskOnce, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody said how long it lives: an hour is safe, and somebody should know."""
    with RawServer(saying(answer(b'{"access_token": "canary.token"}'))) as server, caplog.at_level(logging.DEBUG):
        token = ask_once(base_url=server.base_url)
    assert isinstance(token, AccessToken)
    assert token.expires_in == 3_600
    warnings = [record for record in caplog.records if record.name == "daxko_auth"]
    assert [record.levelname for record in warnings] == ["WARNING"]
    assert "one hour is assumed" in warnings[0].getMessage()
    assert token.fingerprint in warnings[0].getMessage()
    assert "canary" not in caplog.text


def test_cookies_and_hints_of_an_answer_are_forgotten(sandbox: Sandbox, ask_once: AskOnce) -> None:
    """The next request must look like the first, or a load balancer could pin a program to a dying server."""
    with RawServer(saying(answer(GRANTED, Set_Cookie="a=b; Path=/", Connection="close"))) as server:
        for _ in range(2):
            assert isinstance(ask_once(base_url=server.base_url), AccessToken)
        assert all(b"ookie" not in request for request in server.requests)
