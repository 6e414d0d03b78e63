"""
Speaks to a sandbox as a program would, with httpx and by hand; shares no code with the library under test.
"""

from collections.abc import Iterable

import httpx
from support import PATIENCE

from daxko_auth.sandbox import Sandbox

PARTNER = "/v3/partners/oauth2/token"
MEMBER = "/v3/members/oauth2/token"
RESOURCE = "/v3/programs/locations"
BOUNDARY = "----together"

Pairs = Iterable[tuple[str, str]]


def form(fields: Pairs, *, part_header: str = "", disposition: str = "") -> bytes:
    """Write a multipart body as curl -F does, with more in its parts if asked."""
    parts = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{disposition}\r\n{part_header}\r\n{value}\r\n'
        for name, value in fields
    )
    return f"{''.join(parts)}--{BOUNDARY}--\r\n".encode()


class Caller:
    """One program that calls one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = httpx.Client(
            base_url=sandbox.base_url, trust_env=False, timeout=PATIENCE, headers={"accept": "application/json"}
        )

    def fields(self, scope: str = "client:9999", **others: str) -> dict[str, str]:
        """Return the four fields that the guide names, some of them changed."""
        right = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.username,
            "client_secret": self.sandbox.password,
            "scope": scope,
        }
        return right | others

    def token(self, scope: str = "client:9999", *, bearer: str | None = None, **others: str) -> httpx.Response:
        """Ask the partner token endpoint."""
        files = {name: (None, value) for name, value in self.fields(scope, **others).items()}
        headers = {"authorization": f"Bearer {bearer or self.sandbox.refresh_token}"}
        return self.http.post(PARTNER, files=files, headers=headers)

    def form(self, body: bytes, content_type: str | None = None) -> httpx.Response:
        """Send bytes to the partner token endpoint, with the right bearer."""
        headers = {
            "authorization": f"Bearer {self.sandbox.refresh_token}",
            "content-type": content_type or f"multipart/form-data; boundary={BOUNDARY}",
        }
        return self.http.post(PARTNER, content=body, headers=headers)

    def access_token(self, scope: str = "client:9999") -> str:
        """Return an access token."""
        token: str = self.token(scope).json()["access_token"]
        return token

    def member(self, bearer: str, **others: object) -> httpx.Response:
        """Ask the member token endpoint."""
        login = {
            "username": "member_name",
            "password": "member_password",
            "grant_type": "password",
            "scope": "member:auto_login",
        }
        return self.http.post(MEMBER, json=login | others, headers={"authorization": f"Bearer {bearer}"})

    def get(self, path: str, bearer: str) -> httpx.Response:
        """Ask for a resource."""
        return self.http.get(path, headers={"authorization": f"Bearer {bearer}"})

    def switch(self, name: str, **options: object) -> httpx.Response:
        """Turn a switch over HTTP."""
        return self.http.post(f"/_sandbox/{name}", json=options)
