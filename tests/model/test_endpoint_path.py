"""One spelling for all paths that a server may take for the same endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxko_auth.model.endpoint_path import normalised

ENDPOINT = "/v3/members/oauth2/token"


@pytest.mark.parametrize(
    "path",
    [
        ENDPOINT,
        "/v3/members/oauth2/token/",
        "//v3///members/oauth2/token//",
        "/v3/./members/x/../oauth2/token/.",
        "/../v3/members/oauth2/token",
        "/V3/MEMBERS/oauth2/Token",
        "/v3/members/oauth2/%74oken",
        "/v3/members/oauth2/%2574oken",
        "/v3/members/oauth2/%25%37%34oken",
        "/v3%2Fmembers%2foauth2/token",
        "/v3\\members%5Coauth2\\token",
        "/v3;a=b/members;c/oauth2/token;d=e",
        "/v3/members/oauth2/token%20",
        "/v3/members/oauth2/ token\t",
        "/v3/members/oauth2/token%00",
        "v3/members/oauth2/token",
    ],
)
def test_what_a_server_may_take_for_an_endpoint_is_that_endpoint(path: str) -> None:
    """A login that is not known as one would be sent twice."""
    assert normalised(path) == ENDPOINT


@pytest.mark.parametrize(
    "path",
    ["/v3/members/oauth2", "/v3/members/oauth2/token/x", "/v3/members/oauth2/tokens", "/v3/members-oauth2/token"],
)
def test_other_endpoints_stay_others(path: str) -> None:
    """Their 401 is answered with a replay."""
    assert normalised(path) != ENDPOINT


@given(st.text(alphabet="/.%2eEfF5cC;\\ aA\x00é", max_size=30))
def test_the_normal_form_has_no_other(path: str) -> None:
    """It begins with a slash, and has no empty segment, no dots, no capitals."""
    form = normalised(path)
    assert form.startswith("/")
    assert form == "/" or not {"", ".", ".."} & set(form[1:].split("/"))
    assert form == form.casefold()


def test_encodings_of_encodings_are_undone_a_few_times_and_not_for_ever() -> None:
    """A path may be as long as a server takes, and each round reads all of it."""
    assert normalised("/%2525252574oken") == "/%74oken"
    assert normalised("/%25252574oken") == "/token"
