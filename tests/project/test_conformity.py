"""
The sandbox held against the specification, by schemathesis: neither may say what the other does not know.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from sandbox_calls import PARTNER, Caller
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from daxko_auth.sandbox import Sandbox

SPEC = Path(__file__).parents[2] / "openapi" / "daxko.yaml"

# Requests that no program should send put secrets where they do not belong.
pytestmark = pytest.mark.shows_secrets("wire")


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    """Be a program that calls it."""
    one = Caller(sandbox)
    with one.http:
        yield one


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", [PARTNER, "/v3/members/oauth2/token"])
def test_every_answer_is_one_that_the_specification_knows(caller: Caller, path: str, mode: GenerationMode) -> None:
    """The generated code is made from the specification and tested here: the two must describe one API."""
    load_all_checks()
    operation = schemathesis.openapi.from_path(SPEC)[path]["POST"]
    bearer = caller.sandbox.refresh_token if path == PARTNER else caller.access_token()

    @seed(1)
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def conforms(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=caller.sandbox.base_url,
            headers={"Authorization": f"Bearer {bearer}", "Accept": "application/json"},
            # No schema can say which account and which member exist, so what fits it may be refused.
            excluded_checks=[positive_data_acceptance],
        )

    conforms()
    assert len(caller.sandbox.log) > 10


def test_the_specifications_own_examples_are_granted(caller: Caller) -> None:
    """Its examples are the guide's, and so is the sandbox's account."""
    schema = schemathesis.openapi.from_path(SPEC)
    login = {
        "username": "member_name",
        "password": "member_password",
        "grant_type": "password",
        "scope": "member:auto_login",
    }
    for path, body, media_type, bearer in (
        (PARTNER, caller.fields(), "multipart/form-data", caller.sandbox.refresh_token),
        ("/v3/members/oauth2/token", login, "application/json", caller.access_token()),
    ):
        case = schema[path]["POST"].Case(body=body, media_type=media_type)
        headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json"}

        assert case.call_and_validate(base_url=caller.sandbox.base_url, headers=headers).status_code == 200


def test_an_answer_that_the_specification_does_not_know_is_noticed(caller: Caller) -> None:
    """Otherwise the tests above would prove nothing."""
    caller.sandbox.fail_next(1, "status", status=418)
    case = schemathesis.openapi.from_path(SPEC)[PARTNER]["POST"].Case(
        body=caller.fields(), media_type="multipart/form-data"
    )

    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.call_and_validate(base_url=caller.sandbox.base_url)
