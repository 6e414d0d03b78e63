"""The hand-kept spec: valid, sourced, and of one mind with the vendor facts."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from daxko_auth.model import vendor

SPEC: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "openapi" / "daxko.yaml").read_text(encoding="utf-8")
)
COMPONENTS = SPEC["components"]
FIELDS = [
    pytest.param(field, id=f"{schema}.{name}")
    for schema, model in COMPONENTS["schemas"].items()
    for name, field in model["properties"].items()
]
STATEMENTS = [
    pytest.param(statement, id=f"{kind}.{name}")
    for kind, statements in COMPONENTS.items()
    for name, statement in statements.items()
]
SOURCE = re.compile(
    r'Guide, "(Get client-scoped access token|Access API resource)"|RFC (6585|6749|6750|9110) section \d|Inferred'
)


def test_spec_is_a_valid_openapi_document() -> None:
    """Every tool that reads it may rely on that."""
    validate(SPEC)


@pytest.mark.parametrize("statement", [*FIELDS, *STATEMENTS])
def test_every_statement_is_described_and_says_where_it_comes_from(statement: dict[str, Any]) -> None:
    """What the vendor says must be told apart from what we infer."""
    assert statement["description"]
    assert SOURCE.match(statement["x-source"])


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_has_examples_that_fit_it(field: dict[str, Any]) -> None:
    """Examples are copied, so a wrong one becomes somebody's bug."""
    assert field["examples"]
    for example in field["examples"]:
        jsonschema.validate(example, field)


@pytest.mark.parametrize(
    ("endpoint", "operation_id", "security", "schema"),
    [
        (vendor.PARTNER_TOKEN_ENDPOINT, "request_access_token", "refreshToken", "AccessTokenRequest"),
        (vendor.MEMBER_TOKEN_ENDPOINT, "request_member_token", "accessToken", "MemberTokenRequest"),
    ],
)
def test_spec_and_vendor_facts_say_the_same(
    endpoint: vendor.TokenEndpoint, operation_id: str, security: str, schema: str
) -> None:
    """The library reads one, the generated code the other, and a request is made of both."""
    operation = SPEC["paths"][endpoint.path]["post"]
    assert operation["operationId"] == operation_id
    assert operation["security"] == [{security: []}]
    # One media type: two make the generator write broken code.
    assert list(operation["requestBody"]["content"]) == [endpoint.content_type]
    assert COMPONENTS["schemas"][schema]["properties"]["grant_type"]["const"] == endpoint.grant_type
    assert {"200", "400", "401"} <= operation["responses"].keys()


def test_default_server_is_the_vendors() -> None:
    """A tool that is given nothing else asks there."""
    server = SPEC["servers"][0]
    defaults = {name: variable["default"] for name, variable in server["variables"].items()}
    assert server["url"].format(**defaults) == vendor.DEFAULT_BASE_URL


@pytest.mark.parametrize("schema", ["TokenResponse", "ErrorResponse"])
def test_answers_stay_open(schema: str) -> None:
    """An enum or a closed object in an answer turns the vendor's next addition into our outage."""
    model = COMPONENTS["schemas"][schema]
    assert model["additionalProperties"] is True
    assert not any({"enum", "const"} & field.keys() for field in model["properties"].values())
