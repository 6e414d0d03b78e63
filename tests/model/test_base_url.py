"""Which base URLs credentials may be sent to."""

import pytest

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.origin import Origin


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://api.daxko.com", "https://api.daxko.com"),
        ("https://api.daxko.com/", "https://api.daxko.com"),
        ("https://api.daxko.com//", "https://api.daxko.com"),
        (" https://api.daxko.com\n", "https://api.daxko.com"),
        ("HTTPS://API.Daxko.COM", "https://api.daxko.com"),
        ("https://api.daxko.com:443", "https://api.daxko.com"),
        ("HTTPS://api.daxko.com:443", "https://api.daxko.com"),
        ("https://api.daxko.com:8443/", "https://api.daxko.com:8443"),
        ("https://api.daxko.com?", "https://api.daxko.com"),
        ("https://api.daxko.com#", "https://api.daxko.com"),
        ("https://@api.daxko.com", "https://api.daxko.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://xn--a", "https://xn--a"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://daxko_test.internal", "https://daxko_test.internal"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("http://127.8.9.10:1", "http://127.8.9.10:1"),
        ("http://[::1]:8700", "http://[::1]:8700"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("HTTP://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_taken_in_its_normal_form(written: str, origin: str) -> None:
    """One origin must be one cache entry, however it is written."""
    assert Origin.of(written).base_url == origin
    assert Origin.of(written) == Origin.of(origin)
    assert repr(Origin.of(written)) == f"Origin(base_url={origin!r})"


NOT_A_URL = "is not a URL such as https://api.daxko.com"
NOT_AN_ORIGIN = "is more than an origin"
PLAIN = "over plain http"

REFUSED: list[tuple[object, str]] = [
    (None, NOT_A_URL),
    (b"https://api.daxko.com", NOT_A_URL),
    (7, NOT_A_URL),
    ("", NOT_A_URL),
    ("   ", NOT_A_URL),
    ("api.daxko.com", NOT_A_URL),
    ("//api.daxko.com", NOT_A_URL),
    ("https:api.daxko.com", NOT_A_URL),
    ("https://", NOT_A_URL),
    ("https:///v3", NOT_A_URL),
    ("https://.", NOT_A_URL),
    ("https://api..daxko.com", NOT_A_URL),
    (f"https://{'a' * 64}.daxko.com", NOT_A_URL),
    ("https://-", NOT_A_URL),
    ("ftp://api.daxko.com", NOT_A_URL),
    ("httpx://api.daxko.com", NOT_A_URL),
    ("https://api.daxko.com:99999", NOT_A_URL),
    ("https://api.daxko.com:0", NOT_A_URL),
    ("https://api.daxko.com:port", NOT_A_URL),
    ("https://[::1", NOT_A_URL),
    ("https://exa mple.com", NOT_A_URL),
    ("https://api%2edaxko.com", NOT_A_URL),
    ("https://api.dax\nko.com", NOT_A_URL),
    ("https://*.daxko.com", NOT_A_URL),
    ("https://[::1%\x80]", NOT_A_URL),
    ("https://api.daxko.com/v3", NOT_AN_ORIGIN),
    ("https://api.daxko.com/v3/", NOT_AN_ORIGIN),
    ("https://api.daxko.com/v3/v3/partners/oauth2/token", NOT_AN_ORIGIN),
    ("https://api.daxko.com?client=9999", NOT_AN_ORIGIN),
    ("https://api.daxko.com#v3", NOT_AN_ORIGIN),
    ("https://api.partners.daxko.com", "the older Partners API"),
    ("https://API.PARTNERS.daxko.com./auth/token", "the older Partners API"),
    ("http://api.daxko.com", PLAIN),
    ("http://0.0.0.0:8700", PLAIN),
    ("http://192.168.0.1", PLAIN),
    ("http://[2001:db8::1]", PLAIN),
    ("http://127.0.0.1.evil.example", PLAIN),
    ("http://localhost.evil.example", PLAIN),
    ("http://2130706433", PLAIN),
    ("http://127.1", PLAIN),
]


@pytest.mark.parametrize(("written", "reason"), REFUSED, ids=[repr(written) for written, _ in REFUSED])
def test_anything_else_is_refused_by_the_name_of_the_setting(written: object, reason: str) -> None:
    """Found when the program starts, a wrong URL costs a minute; found by a password sent to it, a rotation."""
    with pytest.raises(CredentialsError) as caught:
        Origin.of(written, setting="DAXKO_BASE_URL")  # type: ignore[arg-type]
    assert str(caught.value).startswith("DAXKO_BASE_URL ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("https://api.daxko.com/v3", "write https://api.daxko.com without a path"),
        ("https://api.daxko.com:8443/v3", "write https://api.daxko.com:8443 without a path"),
        ("http://api.daxko.com", "Write https://api.daxko.com"),
        ("http://[2001:db8::1]", "Write https://[2001:db8::1]"),
        ("https://user:hunter2@api.daxko.com", "write https://api.daxko.com and pass ApiCredentials"),
        ("https://api.partners.daxko.com", "v3 Operations API at https://api.daxko.com"),
    ],
)
def test_a_refusal_says_what_to_write_instead(written: str, cure: str) -> None:
    """The fivejars module moved from one Daxko API to the other under one name; people copy either URL."""
    with pytest.raises(CredentialsError) as caught:
        Origin.of(written)
    assert cure in str(caught.value)
    assert str(caught.value).startswith("base_url ")


@pytest.mark.parametrize(
    "written",
    [
        "https://canary:canary@api.daxko.com",
        "https://canary@api.daxko.com/canary?canary#canary",
        "https://api.daxko.com/canary",
        "https://api.daxko.com?token=canary",
        "https://api.daxko.com#canary",
        "https://api.daxko.com\\@canary:canary@evil.example",
        "ftp://canary@api.daxko.com",
        "canary",
    ],
)
def test_a_refusal_quotes_nothing_but_the_host(written: str) -> None:
    """User info, path and query are where people put secrets."""
    with pytest.raises(CredentialsError) as caught:
        Origin.of(written)
    assert "canary" not in f"{caught.value} {caught.value!r}"


def test_a_look_alike_of_other_letters_is_shown_as_what_it_is() -> None:
    """A Cyrillic letter in the host reads like Daxko's; punycode does not."""
    with pytest.raises(CredentialsError, match="write https://xn--"):
        Origin.of("https://\u0430pi.daxko.com/v3")


def test_ports_run_from_1_to_65535() -> None:
    """Httpx takes any number; the system takes these."""
    assert Origin.of("https://api.daxko.com:65535").base_url == "https://api.daxko.com:65535"
    assert Origin.of("https://api.daxko.com:1").base_url == "https://api.daxko.com:1"
    for port in (0, 65_536):
        with pytest.raises(CredentialsError, match="not a URL such as"):
            Origin.of(f"https://api.daxko.com:{port}")


def test_only_slashes_at_the_end_are_nothing() -> None:
    """A path of one letter is a path."""
    assert Origin.of("https://api.daxko.com//").base_url == "https://api.daxko.com"
    with pytest.raises(CredentialsError, match="more than an origin"):
        Origin.of("https://api.daxko.com/X")
