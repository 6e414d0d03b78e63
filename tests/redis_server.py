"""A real Redis (or Valkey) for tests: on a port of its own, in memory only, and for ill use."""

import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import tools
from support import eventually


class RedisServer:
    """One server process, which can be stopped, started again, frozen and asked behind the library's back."""

    def __init__(self, folder: Path, *settings: str, sentinel: bool = False) -> None:
        program = tools.redis_server(tls=any(line.startswith("tls-") for line in settings))
        self.folder = folder
        # Between the look for a free port and the start, another run of the tests may take it.
        for _ in range(10):
            self.port = _free_port()
            self.url = f"redis://127.0.0.1:{self.port}"
            # What comes later counts; a sentinel writes into its file.
            ours = [f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", *([] if sentinel else ['save ""'])]
            lines = [*ours, *(line.format(port=self.port, folder=folder) for line in settings)]
            file = folder / "redis.conf"
            file.write_text("\n".join(lines), "utf-8")
            self._command = [program, str(file), *(["--sentinel"] if sentinel else [])]
            if self._starts():
                return
        pytest.fail(f"{program} does not start")

    def start(self) -> None:
        """Start again, and wait until it answers. What it kept before is gone."""
        assert self._starts(), "Redis has ended"

    def _starts(self) -> bool:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)  # noqa: S603 - the real one
        eventually(lambda: self.process.poll() is not None or self._listens())
        return self.process.poll() is None

    def stop(self) -> None:
        """End it, as a crash does."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def tell(self, *command: str | bytes | int) -> Any:
        """Send it a command as its operator."""
        import redis  # noqa: PLC0415 - this file is imported for every test, also where the package is missing

        with redis.Redis(port=self.port) as operator:
            return operator.execute_command(*command)

    def names(self) -> list[str]:
        """Return the names of all keys."""
        return sorted(name.decode() for name in self.tell("KEYS", "*"))

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    # Below those that systems give out by themselves, so that it is still free after a restart; a cluster also takes
    # the one that is 10,000 higher.
    while True:
        port = random.randrange(10_000, 22_000)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def redis_server(*settings: str, sentinel: bool = False) -> Iterator[RedisServer]:
    """Run a server with these lines in its file; `{port}` and `{folder}` in them are its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), *settings, sentinel=sentinel)
        try:
            yield server
        finally:
            server.stop()
