"""A token endpoint that redirects is not followed, wherever it points."""

import pytest
from asking import AskOnce
from raw_server import RawServer, answer, everything_about, saying

from daxko_auth.model.errors import TokenResponseInvalid
from daxko_auth.sandbox import Sandbox


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("{sandbox}/v3/partners/oauth2/token/", "127.0.0.1"),
        ("/v3/partners/oauth2/token/", "a path of the same host"),
        ("http://evil.example/collect?token=canary", "evil.example"),
        ("https://api.daxko.com/v3/partners/oauth2/token", "api.daxko.com"),
        ("//evil.example/collect", "evil.example"),
        ("https://canary:canary@evil.example:8443/canary#canary", "evil.example"),
        ("https://xn--a/", "xn--a"),
        ("https://[::1", "an address that is not a URL"),
        ("javascript:canary", "a path of the same host"),
        ("", "a path of the same host"),
    ],
)
def test_no_second_request_is_made_and_the_target_is_named(
    sandbox: Sandbox, ask_once: AskOnce, status: int, location: str, named: str
) -> None:
    """On 307 and 308, httpx would send the form again, password included, to whoever is named."""
    sandbox.fail_next(1, "redirect", status=status, location=location.format(sandbox=sandbox.base_url))
    outcome = ask_once()
    assert type(outcome) is TokenResponseInvalid
    assert (outcome.status_code, outcome.retryable) == (status, False)
    assert f"redirects ({status}) to {named}, which is not followed" in str(outcome)
    assert "canary" not in everything_about(outcome)
    assert len(sandbox.log) == 1


def test_a_location_of_other_letters_is_no_url(ask_once: AskOnce) -> None:
    """The zone of an IPv6 address may hold any letter, and httpx takes it; there is no such host."""
    with RawServer(saying(answer(b"", "302 Found", Location="http://[::1%ä]/"))) as server:
        outcome = ask_once(base_url=server.base_url)
    assert type(outcome) is TokenResponseInvalid
    assert "redirects (302) to an address that is not a URL, which is not followed" in str(outcome)
