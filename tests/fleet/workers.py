"""
Worker processes of a fleet: cold, each with a source of its own, and one store between them.

Run as a program, this is one of them: it asks when it is told to, and says how that ended.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import daxko_auth
from daxko_auth import ApiCredentials, Daxko, RenewalPolicy, TokenSource

if TYPE_CHECKING:  # sixteen that each import a server take long to start
    from daxko_auth.sandbox import Sandbox

PATIENCE = 3_600.0
"""Seconds: more than pytest gives any test, so that no worker gives up because the machine is busy."""


class Worker:
    """One process, seen from the test."""

    def __init__(self, sandbox: "Sandbox", store: str, where: str) -> None:
        settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
        self.process = subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, __file__, store, where],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def go(self, client_id: int = 9999, *, first: str = "") -> None:
        """Have it call the API for a Daxko client, perhaps `reject` its token first, and do not wait for the end."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{client_id} {first}\n")

    def said(self) -> str:
        """Wait for what it says next: `ready` when it has started, then a status or the name of an error each time."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Let it stand still, as a machine that is out of memory or has been suspended."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


def all_call(workers: list[Worker], client_id: int = 9999, *, first: str = "") -> list[str]:
    """Have all of them call the API for a Daxko client at the same time, and return what they say."""
    for worker in workers:
        worker.go(client_id, first=first)
    return [worker.said() for worker in workers]


@contextmanager
def fleet(sandbox: "Sandbox", count: int, store: str, where: str) -> Iterator[list[Worker]]:
    """Start so many workers with a store, e.g. `FileStore` and its folder; yield them ready, and end them."""
    workers = [Worker(sandbox, store, where) for _ in range(count)]
    try:
        assert [worker.said() for worker in workers] == ["ready"] * count
        yield workers
    finally:
        for worker in workers:
            with worker.process:  # closes the pipes, too
                worker.process.kill()


def be_patient(store: str) -> None:
    """Let no step of the store give up because the machine is busy."""
    if store == "FileStore":
        from daxko_auth.stores import file_store  # noqa: PLC0415 - no worker needs both

        file_store._FOLDER_LOCK_WAIT = PATIENCE  # type: ignore[misc]
    else:
        from daxko_auth.stores import redis_access, redis_connection  # noqa: PLC0415

        redis_connection._LONGEST_STEP = PATIENCE  # type: ignore[misc]
        redis_access._OURS.update(socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def work(store: str, where: str) -> None:
    """Be a worker, until nobody has anything more to say."""
    be_patient(store)
    shared = getattr(daxko_auth, store)(where)
    policy = RenewalPolicy(deadline=PATIENCE, attempt_timeout=PATIENCE)
    with TokenSource(ApiCredentials.from_env(), store=shared, policy=policy) as source:
        print("ready", flush=True)  # noqa: T201 - to the test
        for line in sys.stdin:
            client_id, *first = line.split()
            try:
                if first == ["reject"]:
                    source.reject(source.token(client_id))
                with Daxko(source.credentials, client_id, source=source, timeout=PATIENCE) as daxko:
                    ended = str(daxko.http.get("/v3/x").status_code)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
                ended = type(error).__name__
            print(ended, flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    work(*sys.argv[1:])
