"""Which request URLs may be sent a bearer token."""

import httpx
import pytest

from daxko_auth.model.errors import UntrustedOriginError
from daxko_auth.model.origin import Origin

DAXKO = Origin.of("https://api.daxko.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.daxko.com",
        "https://api.daxko.com/",
        "https://api.daxko.com/v3/programs/locations?page=2#top",
        "https://api.daxko.com:443/v3",
        "https://API.DAXKO.COM/v3",
        "HTTPS://api.daxko.com/v3",
        "HTTPS://api.daxko.com:443/v3",
        "https://api。daxko.com/v3",
        "https://somebody:something@api.daxko.com/v3",
        "https://evil.example@api.daxko.com/v3",
    ],
)
def test_every_spelling_of_the_origin_is_admitted(url: str) -> None:
    """Followed "next page" links are written by the server, in its own spelling."""
    assert DAXKO.admits(httpx.URL(url))
    DAXKO.require(httpx.URL(url))


FOREIGN = [
    ("http://api.daxko.com/v3", "http://api.daxko.com"),
    ("http://api.daxko.com:443/v3", "http://api.daxko.com:443"),
    ("https://api.daxko.com:8443/v3", "https://api.daxko.com:8443"),
    ("https://api.daxko.com:80/v3", "https://api.daxko.com:80"),
    ("https://other.example/", "https://other.example"),
    ("https://api.daxko.com.evil.example/", "https://api.daxko.com.evil.example"),
    ("https://evilapi.daxko.com/", "https://evilapi.daxko.com"),
    ("https://daxko.com/", "https://daxko.com"),
    ("https://v3.api.daxko.com/", "https://v3.api.daxko.com"),
    ("https://api.daxko.com./v3", "https://api.daxko.com."),
    ("https://api.daxko.com@evil.example/", "https://evil.example"),
    ("https://api.daxko.com:443@evil.example/", "https://evil.example"),
    ("https://api.daxko.com\\@evil.example/", "https://evil.example"),
    ("https://api.daxko.com%2eevil.example/", "https://api.daxko.com%2eevil.example"),
    ("https://\u0430pi.daxko.com/", "https://xn--pi-6kc.daxko.com"),
    ("wss://api.daxko.com/", "wss://api.daxko.com"),
]


@pytest.mark.parametrize(("url", "named"), FOREIGN, ids=[url for url, _ in FOREIGN])
def test_any_other_origin_is_refused_by_name(url: str, named: str) -> None:
    """A token worth a day goes to whatever URL httpx is asked for, unless somebody compares."""
    assert not DAXKO.admits(httpx.URL(url))
    with pytest.raises(UntrustedOriginError) as caught:
        DAXKO.require(httpx.URL(url))
    assert f"this request goes to {named} and was not sent" in str(caught.value)
    assert "stays with https://api.daxko.com;" in str(caught.value)


def test_a_refusal_does_not_quote_the_rest_of_the_url() -> None:
    """Queries and user info hold secrets of their own."""
    with pytest.raises(UntrustedOriginError) as caught:
        DAXKO.require(httpx.URL("https://canary:canary@evil.example/canary?canary=canary#canary"))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "own", "foreign"),
    [
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700/v3", "http://127.0.0.1:8701/v3"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700/v3", "http://localhost:8700/v3"),
        ("http://[::1]:8700", "http://[::1]:8700/v3?page=2", "http://[::2]:8700/v3"),
        ("http://localhost", "http://localhost:80/v3", "https://localhost/v3"),
        ("https://bücher.example", "https://xn--bcher-kva.example/v3", "https://bucher.example/v3"),
    ],
)
def test_ports_addresses_and_idna_are_compared_in_normal_form(base_url: str, own: str, foreign: str) -> None:
    """The sandbox has a port of its own, and its neighbour may be anything."""
    origin = Origin.of(base_url)
    assert origin.admits(httpx.URL(own))
    assert not origin.admits(httpx.URL(foreign))


def test_a_url_without_a_host_is_refused_and_helped() -> None:
    """What an httpx client without a base URL makes of a path; "goes to ://" would help nobody."""
    with pytest.raises(UntrustedOriginError) as caught:
        DAXKO.require(httpx.URL("/v3/programs/locations"))
    assert "this request names no server and was not sent" in str(caught.value)
    assert "base_url='https://api.daxko.com'" in str(caught.value)
    assert not DAXKO.admits(httpx.URL("/v3/programs/locations"))


def test_a_refusal_is_short_however_long_the_host() -> None:
    """A URL may have 65,536 characters; a log line should not."""
    with pytest.raises(UntrustedOriginError) as caught:
        DAXKO.require(httpx.URL(f"https://{'a' * 60_000}.example/"))
    assert "this request goes to https://aaa" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(("length", "shown"), [(300, 300), (301, 300)])
def test_a_host_is_shown_whole_up_to_300_characters(length: int, shown: int) -> None:
    """A name in the DNS is always whole; what is cut says that it was."""
    target = "https://" + "a" * (length - len("https://"))
    with pytest.raises(UntrustedOriginError) as caught:
        DAXKO.require(httpx.URL(target))

    cut = "" if shown == length else "..."
    assert f"this request goes to {target[:shown]}{cut} and was not sent. " in str(caught.value)


def test_a_refusal_says_what_happened_and_what_to_do() -> None:
    """The whole sentence, for a foreign server and for none."""
    messages = []
    for url in ("https://other.example/v3", "/v3"):
        with pytest.raises(UntrustedOriginError) as caught:
            DAXKO.require(httpx.URL(url))
        messages.append(str(caught.value).removeprefix("the access token stays with https://api.daxko.com; this "))

    foreign, nowhere = messages
    assert foreign == (
        "request goes to https://other.example and was not sent. Use an httpx client without DaxkoAuth for other "
        "servers, or pass that as base_url= if it is your Daxko origin"
    )
    assert nowhere == (
        "request names no server and was not sent. Write the whole URL, or give the httpx client "
        "base_url='https://api.daxko.com'"
    )
