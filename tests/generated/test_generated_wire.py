"""What the generated functions put on the wire, read back from a real socket."""

import json
import threading
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import get_type_hints

import pytest

from daxko_api import AuthenticatedClient
from daxko_api.api.members import request_member_token
from daxko_api.api.partners import request_access_token
from daxko_api.models import AccessTokenRequest, MemberTokenRequest, TokenResponse
from daxko_auth.model import vendor

TOKEN = {"access_token": "a.b.c", "expires_in": "86400", "token_type": "bearer", "member_id": 7}


class Server(HTTPServer):
    """Answers every request with a token and remembers the last one."""

    path = ""
    headers = Message()
    body = b""

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The server's one answer."""

    server: Server

    def do_POST(self) -> None:
        """Remember the request and send a token."""
        self.server.path, self.server.headers = self.path, self.headers
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps(TOKEN).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server on a free port of the loopback interface."""
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def form(client_secret: str = vendor.EXAMPLE_PASSWORD) -> AccessTokenRequest:
    """Return the guide's example form, or the same with another password."""
    return AccessTokenRequest(
        client_id=vendor.EXAMPLE_USERNAME,
        client_secret=client_secret,
        scope=f"{vendor.SCOPE_PREFIX}{vendor.EXAMPLE_CLIENT_ID}",
    )


def test_access_token_form_is_byte_for_byte_what_curl_sends(server: Server) -> None:
    """Daxko reads what `curl -F` of its guide sends: four bare parts in this order."""
    with AuthenticatedClient(server.url, "refresh.token") as client:
        request_access_token.sync(client=client, body=form())

    def part(name: str, value: str) -> str:
        return f'--+++\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    assert server.path == vendor.PARTNER_TOKEN_ENDPOINT.path
    assert server.headers["Authorization"] == "Bearer refresh.token"
    assert server.headers["Content-Type"] == "multipart/form-data; boundary=+++"
    assert server.body.decode() == (
        part("grant_type", "client_credentials")
        + part("client_id", "daxko_api_user")
        + part("client_secret", "d9a2652cf96d734661c10d5ff2f8061f")
        + part("scope", "client:9999")
        + "--+++--\r\n"
    )


@pytest.mark.parametrize(
    "password",
    [
        '"quoted"; name="x"',
        "plus+++plus",
        "--+++",
        "--+++--",
        "+++1+++",
        "a\r\n--+++--\r\nb",
        "pässwörd☃",
        "&=%25 ",
        "",
    ],
)
def test_any_password_arrives_as_it_was_written(server: Server, password: str) -> None:
    """A password is chosen by people, and its characters must not be taken for the form's own."""
    with AuthenticatedClient(server.url, "refresh.token") as client:
        request_access_token.sync(client=client, body=form(client_secret=password))

    # The standard library reads the parts, with the boundary that the header names.
    head = f"Content-Type: {server.headers['Content-Type']}\r\n\r\n".encode()
    parts = BytesParser().parsebytes(head + server.body).get_payload()
    assert isinstance(parts, list)
    received = {}
    for part in parts:
        assert isinstance(part, Message)
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        received[part.get_param("name", header="content-disposition")] = value.decode()
    assert received == form(client_secret=password).to_dict()


def test_member_login_is_json_under_the_access_token(server: Server) -> None:
    """The member endpoint reads exactly these four keys, and unknown fields of its answer are kept."""
    with AuthenticatedClient(server.url, "access.token") as client:
        body = MemberTokenRequest(username=vendor.EXAMPLE_MEMBER_NAME, password=vendor.EXAMPLE_MEMBER_PASSWORD)
        token = request_member_token.sync(client=client, body=body)

    assert server.path == vendor.MEMBER_TOKEN_ENDPOINT.path
    assert server.headers["Authorization"] == "Bearer access.token"
    assert server.headers["Content-Type"] == "application/json"
    assert json.loads(server.body) == {
        "username": "member_name",
        "password": "member_password",
        "grant_type": "password",
        "scope": "member:auto_login",
    }
    assert isinstance(token, TokenResponse)
    assert token.expires_in == "86400"
    assert token["member_id"] == 7
    assert token.to_dict() == TOKEN


@pytest.mark.parametrize("module", [request_access_token, request_member_token])
@pytest.mark.parametrize("function", ["sync", "sync_detailed", "asyncio", "asyncio_detailed"])
def test_no_token_endpoint_can_be_asked_without_a_bearer(module: object, function: str) -> None:
    """A type checker refuses the plain Client, because each operation states its security."""
    assert get_type_hints(getattr(module, function))["client"] is AuthenticatedClient
