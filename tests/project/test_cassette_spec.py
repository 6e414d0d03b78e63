"""
Every recorded request and answer is held against openapi/daxko.yaml, by a validator that is not ours.

So spec, generated client, sandbox and cassettes cannot drift apart unseen. Resources are not in the spec;
they are left out by their path, and by nothing else.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from recording.cases import CASES
from recording.cassette import CASSETTES
from recording.stage import RESOURCE

SPEC = OpenAPI.from_file_path(str(Path(__file__).parents[2] / "openapi" / "daxko.yaml"))
CASE = {case.name: case for case in CASES}
FILES = sorted(CASSETTES.rglob("*.yaml"))


def exchange(file: Path) -> tuple[MockRequest, MockResponse]:
    """Read the one exchange of a cassette for openapi-core."""
    (held,) = yaml.safe_load(file.read_text(encoding="utf-8"))["interactions"]
    asked, answered = held["request"], held["response"]
    headers = {name.lower(): values[0] for name, values in asked["headers"].items()}
    host, slash, path = asked["uri"].removeprefix("https://").partition("/")
    request = MockRequest(
        f"https://{host}",
        asked["method"],
        slash + path,
        headers=headers,
        data=asked["body"].encode(),
        content_type=headers.get("content-type", ""),
    )
    named = {name: values[0] for name, values in answered["headers"].items()}
    body = answered["body"]["string"].encode()
    return request, MockResponse(body, answered["status"]["code"], named, named.get("content-type", ""))


def complaint(file: Path) -> str:
    """Return the name of what openapi-core says is wrong with a request, or a blank."""
    request, _ = exchange(file)
    try:
        SPEC.validate_request(request)
    except OpenAPIError as error:
        cause: Any = error.__cause__ or error
        return type(cause).__name__
    return ""


in_spec = [file for file in FILES if exchange(file)[0].path != RESOURCE]


@pytest.mark.parametrize("file", in_spec, ids=lambda file: file.stem)
def test_recorded_answer_is_one_that_the_spec_describes(file: Path) -> None:
    """What the generated client cannot read, users cannot either."""
    SPEC.validate_response(*exchange(file))


@pytest.mark.parametrize("file", in_spec, ids=lambda file: file.stem)
def test_recorded_request_is_right_or_wrong_as_the_spec_says(file: Path) -> None:
    """A request that is refused for its form must be one that the spec forbids, for that very reason."""
    assert complaint(file) == CASE[file.stem].against_spec


@pytest.mark.parametrize("file", in_spec, ids=lambda file: file.stem)
def test_refusal_of_a_request_that_fits_the_spec_is_explained(file: Path) -> None:
    """If the spec could have said why, it should; if it cannot, the case says so."""
    refused = exchange(file)[1].status_code >= 400
    case = CASE[file.stem]
    assert refused == bool(case.against_spec or case.beyond_spec) or case.name == "member-signed-in-as-curl-sends-it"
    assert not (case.against_spec and case.beyond_spec)


def test_only_resources_are_left_out() -> None:
    """A typing error in a path must not take a cassette out of the validation."""
    left_out = {file.stem for file in FILES} - {file.stem for file in in_spec}
    assert left_out == {name for name in CASE if name.startswith("resource-")}


def test_wrong_answer_would_be_noticed() -> None:
    """A validator that accepts everything proves nothing."""
    request, _ = exchange(CASSETTES / "partner-granted.yaml")
    with pytest.raises(OpenAPIError):
        SPEC.validate_response(request, MockResponse(b'{"access_token": "a"}', 200))
