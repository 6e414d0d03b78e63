"""
Runs an ASGI application on uvicorn's HTTP protocol, in a thread, silently, and stops it at once.

uvicorn's own server waits politely for connections to end, logs, and takes the process's signals; a
sandbox does none of that. It drops what is under way, and leaves no thread, socket or warning behind.
"""

import asyncio
import logging
import os
import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: What every answer carries, so that nobody takes it for Daxko's.
SERVER: Final = "daxko-auth-sandbox (not Daxko)"

#: How many connections may wait to be accepted.
BACKLOG: Final = 2048

_IDLE_SECONDS: Final = 75
# Of its own, so that no other uvicorn in this process is silenced with it. Only defects of ours are errors.
_LOGGER: Final = logging.getLogger("daxko_auth.sandbox")
_LOGGER.setLevel(logging.ERROR)


class _Connection(H11Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        # Otherwise an answer's body waits 40 ms for the acknowledgement of its head; asyncio sees to it only
        # for sockets that were made as TCP by number.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.logger = _LOGGER
        self.access_log = False
        # The application drops connections when it is told to; ASGI itself has no way to.
        self.app_state = {"connection": transport}

    def send_400_response(self, msg: str) -> None:
        # What is not HTTP never reaches the application, and still must not look like Daxko.
        head = f"HTTP/1.1 400 Bad Request\r\nServer: {SERVER}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(msg)}\r\n\r\n{msg}".encode("ascii"))
        self.transport.close()


class Serving:
    """An application that is being served, from `start()` to `stop()`. Not started twice."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._config = Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_SECONDS,
        )
        self._config.load()
        self._has_ended = False
        self._waiting: list[threading.Lock] = []
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        # A daemon, so that a sandbox nobody closed does not keep a program from ending.
        self._thread = threading.Thread(target=self._run, name="daxko-auth-sandbox", daemon=True)

    def start(self) -> None:
        """Serve, in a thread; return once requests are answered."""
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        """Drop every connection, and return once the thread has ended."""
        loop, stopping = self._ready.result()
        loop.call_soon_threadsafe(stopping.set)
        self.wait()
        self._thread.join()

    def wait(self) -> None:
        """Return once serving has ended, which may be never; Ctrl-C interrupts it."""
        # A lock of its own, which the end releases. An Event that is interrupted may stay locked, and then nobody can
        # set it; in Python 3.11, a join() that is interrupted takes the thread for ended from then on.
        lock = threading.Lock()
        lock.acquire()
        self._waiting.append(lock)
        # Looked at after the lock is in the list, so that the end misses nobody.
        if not self._has_ended:
            lock.acquire()

    def _run(self) -> None:
        try:
            # Not the loop of somebody's policy: stopping needs one that watches sockets by readiness.
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve())
        except OSError as error:
            # A loop needs files of its own. Whoever starts this waits for it, or for this.
            self._ready.set_exception(error)
        finally:
            self._has_ended = True
            for lock in self._waiting:
                lock.release()

    async def _serve(self) -> None:
        loop, stopping, state = asyncio.get_running_loop(), asyncio.Event(), ServerState()
        loop.set_exception_handler(_handle)
        state.default_headers = [(b"server", SERVER.encode("ascii"))]
        server = await loop.create_server(
            lambda: _Connection(config=self._config, server_state=state, app_state={}),
            sock=self._listener,
            backlog=BACKLOG,
        )
        self._ready.set_result((loop, stopping))
        await stopping.wait()
        # Closing the server under a connection that was just accepted makes asyncio leak it. So accepting
        # ends first, and those accepted have the turns of the loop they need to appear among the others.
        loop.remove_reader(self._listener)
        await _turns(3)
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await _turns(1)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _new_loop() -> asyncio.AbstractEventLoop:
    # One that gets only some of the three files it needs prints a traceback when it is collected.
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(Path(os.devnull).open("rb"))
    return asyncio.SelectorEventLoop()


def _handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError):
        # The machine's: too many files are open to accept another connection, for instance. It is tried again.
        _LOGGER.warning("%s: %s", context["message"], error.strerror)
    else:
        loop.default_exception_handler(context)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
