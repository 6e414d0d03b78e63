"""A server that says any bytes at all, at any pace; and what to look for in an error afterwards."""

import copy
import pickle
import re
import select
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from daxko_auth.model.errors import DaxkoAuthError

#: What a server does with a connection: it has read the request, and is told when to stop.
Behaviour = Callable[[socket.socket, threading.Event], None]


class RawServer:
    """Listens on loopback and treats each connection as it was told, in a thread of its own."""

    def __init__(self, behave: Behaviour, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._behave = behave
        self._stopped = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._threads = [threading.Thread(target=self._accept, name="raw server")]
        self._connections: list[socket.socket] = []
        #: The head and body of each request, as far as they arrived at once.
        self.requests: list[bytes] = []
        self.port = int(self._listener.getsockname()[1])
        self.base_url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._connections:
            hang_up(connection)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many connected, whether they said anything or not."""
        return len(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="raw server")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(read_request(connection))
                self._behave(connection, self._stopped)
            except OSError:
                return
            hang_up(connection)


def read_request(connection: socket.socket) -> bytes:
    """Return one request, head and body, or what came of it."""
    request = b""
    while chunk := connection.recv(1 << 16):
        request += chunk
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *([0-9]+)", head)
        is_http = head[:1].isalpha()
        if not is_http or (head != request and len(body) >= int(length[1] if length else 0)):
            break
    return request


def hang_up(connection: socket.socket) -> None:
    """Shut a connection down in both directions, unless the other side did."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def saying(answer: bytes) -> Behaviour:
    """Send `answer` and hang up."""

    def behave(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(answer)
        # What still arrives is read, so that hanging up is no reset.
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16) and not stopped.is_set():
            pass

    return behave


def dripping(head: bytes, drip: bytes, pause: float = 0.02) -> Behaviour:
    """Send `head`, and then `drip` again and again with a pause, for ever."""

    def behave(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(head)
        while not stopped.wait(pause):
            connection.sendall(drip)

    return behave


def pouring(head: bytes, flood: bytes) -> Behaviour:
    """Send `head`, and then `flood` again and again as fast as it is taken, until the other side hangs up."""

    def behave(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(head)
        connection.setblocking(False)
        left = flood
        while not stopped.is_set():
            # Also of somebody who takes nothing any more: to send says nothing of that for as long as a minute.
            readable, writable, _ = select.select([connection], [connection], [])
            if readable and not connection.recv(1 << 16):
                return
            if writable:
                left = left[connection.send(left) :] or flood

    return behave


def resetting(connection: socket.socket, stopped: threading.Event) -> None:
    """Break the connection off, as a crashed server or a firewall does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def answer(body: bytes, status: str = "200 OK", content_type: str = "application/json", **headers: str) -> bytes:
    """Return an HTTP answer; an underscore in the name of a header stands for a hyphen."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def everything_about(error: DaxkoAuthError) -> str:
    """Return all that can be printed of an error that was returned, also once it has been raised and pickled."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert error.__traceback__ is None
    texts = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(copy.copy(error))]
    texts += [pickle.dumps(error).decode("latin-1")]
    try:
        raise error
    except DaxkoAuthError as raised:
        report = traceback.TracebackException.from_exception(raised)
        texts += list(report.format())
    error.__traceback__ = None
    return "\n".join(texts)
