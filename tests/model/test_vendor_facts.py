"""The vendor's facts, word for word as the guide has them."""

import logging
import re

import pytest

from daxko_auth.model import vendor
from daxko_auth.model.log import log
from daxko_auth.model.vendor import BearerKind, bearer_for


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v3/partners/oauth2/token", BearerKind.REFRESH_TOKEN),
        ("/v3/members/oauth2/token", BearerKind.ACCESS_TOKEN),
        ("/v3/partners/oauth2/token/", BearerKind.ACCESS_TOKEN),
        ("/v3/partners/oauth2/members/token", BearerKind.ACCESS_TOKEN),
        ("/v3/Partners/OAuth2/Token", BearerKind.ACCESS_TOKEN),
        ("//v3/partners/oauth2/token", BearerKind.ACCESS_TOKEN),
        ("/v3/partners/oauth2/token;x", BearerKind.ACCESS_TOKEN),
        ("/v3/partners/oauth2/../oauth2/token", BearerKind.ACCESS_TOKEN),
        ("/v3/partners", BearerKind.ACCESS_TOKEN),
        ("/", BearerKind.ACCESS_TOKEN),
        ("", BearerKind.ACCESS_TOKEN),
    ],
)
def test_the_refresh_token_opens_one_path_and_no_other(path: str, kind: BearerKind) -> None:
    """A public module sends the refresh token to a members path; the guide forbids it."""
    assert bearer_for(path) is kind


def test_the_two_endpoints_are_those_of_the_guide() -> None:
    """A typing mistake here would be agreed upon by the library and its sandbox."""
    partner, member = vendor.PARTNER_TOKEN_ENDPOINT, vendor.MEMBER_TOKEN_ENDPOINT
    assert (partner.path, partner.content_type, partner.grant_type) == (
        "/v3/partners/oauth2/token",
        "multipart/form-data",
        "client_credentials",
    )
    assert (member.path, member.content_type, member.grant_type) == (
        "/v3/members/oauth2/token",
        "application/json",
        "password",
    )
    assert bearer_for(partner.path) is partner.bearer
    assert bearer_for(member.path) is member.bearer
    assert (vendor.SCOPE_PREFIX, vendor.MEMBER_SCOPE, vendor.ACCEPT) == (
        "client:",
        "member:auto_login",
        "application/json",
    )
    assert vendor.DEFAULT_BASE_URL == "https://api.daxko.com"


def test_the_only_secrets_in_the_library_are_the_guides_example() -> None:
    """Anything else that looks like one would be somebody's."""
    values = [value for value in vars(vendor).values() if isinstance(value, str)]
    assert [value for value in values if re.fullmatch(r"[0-9a-f]{20,}", value)] == [vendor.EXAMPLE_PASSWORD]
    assert vendor.EXAMPLE_PASSWORD == "d9a2652cf96d734661c10d5ff2f8061f"


def test_the_one_logger_is_silent_until_a_program_configures_it() -> None:
    """A library that sets handlers or levels takes that decision from the program."""
    assert log.name == "daxko_auth"
    assert all(isinstance(handler, logging.NullHandler) for handler in log.handlers)
    assert log.level == 0
