"""Our form beside the form of the guide's own command: the same parts, in the same order, to the byte."""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from support import PATIENCE

from daxko_auth import ApiCredentials, ClientScope
from daxko_auth.model.origin import Origin
from daxko_auth.wire.exchange import Exchange

ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
)


class Recorder:
    """A server that keeps the bytes of each request it gets."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.requests: SimpleQueue[tuple[bytes, bytes]] = SimpleQueue()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Keep requests until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                assert length is not None
                self.requests.put((head, stream.read(int(length.group(1)))))
                connection.sendall(ANSWER)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Run a recorder."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder = Recorder(listener)
        thread = threading.Thread(target=recorder.serve)
        thread.start()
        yield recorder
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def parts(request: tuple[bytes, bytes]) -> list[bytes]:
    """Split a form by the boundary that its header names; fail if it is not whole."""
    head, body = request
    named = re.search(rb"content-type: multipart/form-data; boundary=(\S+)", head, re.IGNORECASE)
    assert named is not None
    delimiter = b"--" + named.group(1)
    first, *between, last = body.split(delimiter)
    assert (first, last.strip()) == (b"", b"--")
    return between


def header(request: tuple[bytes, bytes], name: bytes) -> bytes:
    """Return the value of a header."""
    found = re.search(rb"^" + name + rb": (.*)\r$", request[0], re.IGNORECASE | re.MULTILINE)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("daxko_api_user", "d9a2652cf96d734661c10d5ff2f8061f"),
        ("größe & co", 'quotes " and \\ and % and ; type=x'),
        ("plus+plus", "--+++ is where a careless boundary would end"),
        ("@file", "<file"),
        ("日本", "=&?"),
    ],
)
def test_our_form_is_curls_form(recorder: Recorder, curl: str, username: str, password: str) -> None:
    """What the vendor prints is what the vendor has tried; anything else is a guess."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": username,
        "client_secret": password,
        "scope": "client:9999",
    }
    # --form-string is -F without the special meaning of a leading @ or <, and of ;type=.
    form = [word for name, value in fields.items() for word in ("--form-string", f"{name}={value}")]
    bearer = ["-H", "Authorization: Bearer refresh", "-H", "Accept: application/json"]
    url = f"{recorder.base_url}/v3/partners/oauth2/token"
    subprocess.run([curl, "-s", "-XPOST", url, *bearer, *form], check=True, capture_output=True)  # noqa: S603 - the real one
    theirs = recorder.requests.get()

    exchange = Exchange(ApiCredentials(username, password, "refresh"), Origin.of(recorder.base_url))
    exchange.request(ClientScope(9999), sent_at=time.time(), timeout=PATIENCE)
    ours = recorder.requests.get()

    assert parts(ours) == parts(theirs)
    assert len(parts(ours)) == 4
    for name in (b"authorization", b"accept"):
        assert header(ours, name) == header(theirs, name)
    assert ours[0].split(b" HTTP")[0] == theirs[0].split(b" HTTP")[0] == b"POST /v3/partners/oauth2/token"
