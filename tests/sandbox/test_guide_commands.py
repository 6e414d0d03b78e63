"""
The vendor's guide, run: its two commands as printed there, with only the placeholders filled in.
"""

import json
import subprocess

import pytest

from daxko_auth.sandbox import Sandbox

FIRST = r"""
curl -XPOST {base_url}/v3/partners/oauth2/token \
-H "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..." \
-F "grant_type=client_credentials" \
-F "client_id=daxko_api_user" \
-F "client_secret=d9a2652cf96d734661c10d5ff2f8061f" \
-F "scope=client:9999"
"""
SECOND = r"""
curl -XPOST {base_url}/v3/members/oauth2/token \
-H "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc..." \
-d '
{
  "username": "member_name",
  "password": "member_password",
  "grant_type": "password",
  "scope": "member:auto_login"
}'
"""


def run(command: str, sandbox: Sandbox, placeholder: str, bearer: str) -> dict[str, str]:
    """Run a command of the guide in a shell and return the JSON it prints."""
    filled = command.replace("{base_url}", sandbox.base_url).replace(placeholder, bearer)
    done = subprocess.run(  # noqa: S603 - the guide's own words
        ["/bin/sh", "-c", f"exec {filled.strip()}"],
        capture_output=True,
        check=True,
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.mark.usefixtures("curl")
def test_the_guides_two_commands_work_word_for_word(sandbox: Sandbox) -> None:
    """Whoever has no account must be able to follow the vendor's guide against the sandbox."""
    first = run(FIRST, sandbox, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...", sandbox.refresh_token)
    second = run(SECOND, sandbox, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc...", first["access_token"])

    assert (first["expires_in"], first["token_type"]) == ("86400", "bearer")
    assert second.keys() == {"access_token", "expires_in", "token_type"}
    assert [(arrival.status, arrival.body, arrival.misplaced) for arrival in sandbox.log] == [
        (200, "multipart", ()),
        (200, "form", ()),
    ]
