"""
The sandbox itself: a stand-in for Daxko that starts in milliseconds and stops at once.

It listens on this machine only, unless told otherwise, and says in every answer that it is not Daxko.
"""

import shlex
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, Self

from attrs import evolve

from daxko_auth.model.vendor import EXAMPLE_TOKEN_LIFE
from daxko_auth.sandbox.accounts import Account
from daxko_auth.sandbox.app import App
from daxko_auth.sandbox.log import Arrival
from daxko_auth.sandbox.serving import BACKLOG, Serving
from daxko_auth.sandbox.switches import scope_text

# Where a server that listens everywhere is reached from this machine.
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # nosec B104 # compared with, not bound to


class Sandbox(App):
    """
    A stand-in for Daxko on a free port, with one API account. Not a proxy: it never talks to anybody.

        with Sandbox() as sandbox:
            httpx.post(f"{sandbox.base_url}/v3/partners/oauth2/token", ...)

    Many may run at once. Its switches and its log may be used from any thread, also while it is closed.
    """

    def __init__(  # noqa: PLR0913 - all named, and none is needed
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: Account | None = None,
        clients: Iterable[int] | None = None,
        members: Mapping[str, str] | None = None,
        token_life: int = EXAMPLE_TOKEN_LIFE,
        signing_key: bytes | None = None,
    ) -> None:
        """
        Make a sandbox; it listens once started. Port 0 is any that is free, and is kept from then on.

        `clients` and `members` (passwords by name) replace those of `account`, which is the vendor's example.
        The refresh token is the same wherever `signing_key` (32 bytes or more) and username are the same.

        Raises:
            ValueError: a client is not a number, `token_life` not a whole number of seconds above zero, or the
                key too short.
        """
        account = account or Account()
        if clients is not None:
            account = evolve(account, clients=clients)
        if members is not None:
            account = evolve(account, members=members)
        super().__init__(account, token_life, signing_key)
        self._host = host
        self._port = port
        self._serving: Serving | None = None
        self.banner = f"{App.banner}{self.exposure_warning}"

    def start(self) -> Self:
        """
        Listen and answer, from before this returns until `close()`.

        Started again after `close()`, it has the same port, account, tokens and log.

        Raises:
            OSError: the port is taken, the host is not this machine's, or too many files are open.
            RuntimeError: it is running already.
        """
        if self._serving is not None:
            raise RuntimeError("this sandbox is running already; make another Sandbox() for a second one")
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        listener = socket.create_server((self._host, self._port), family=found[0][0], backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        self._serving = Serving(self, listener)
        try:
            self._serving.start()
        except OSError:
            self._serving = None
            listener.close()
            raise
        return self

    def close(self) -> None:
        """Stop at once: requests under way, hanging ones included, see their connection drop."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.stop()

    def serve_until_interrupted(self) -> None:
        """Wait until Ctrl-C, or until another thread closes this sandbox; it is closed afterwards."""
        serving = self._serving
        try:
            if serving is not None:
                serving.wait()
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox {self.base_url}>" if self._port else "<Sandbox, not started>"

    @property
    def base_url(self) -> str:
        """
        Where it is reached from this machine: `http://127.0.0.1:54321`.

        Raises:
            RuntimeError: it was never started, so its port is not known.
        """
        if not self._port:
            raise RuntimeError("this sandbox has no address before it is started: with Sandbox() as sandbox: ...")
        host = _REACHED_AT.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def username(self) -> str:
        """The account's username."""
        return self.account.username

    @property
    def password(self) -> str:
        """The account's password, readable: it opens nothing but sandboxes."""
        return self.account.password.reveal()

    @property
    def refresh_token(self) -> str:
        """The account's refresh token, readable: it opens nothing but this sandbox."""
        return self._mint.refresh_token.reveal()

    @property
    def exposure_warning(self) -> str:
        """What to tell whoever starts it on a host that other machines may reach; else a blank."""
        if _is_loopback(self._host):
            return ""
        return (
            f"It listens on {self._host}, so other machines may reach it, over plain http and without a password "
            "for its switches. Never give it a real credential.\n"
        )

    def settings(self) -> dict[str, str]:
        """Return the settings that point a program at this sandbox, readable: they open nothing else."""
        return self.settings_at(self.base_url)

    def exports(self) -> list[str]:
        """Return the lines that point a shell at this sandbox; they hold its password and refresh token."""
        return [f"export {name}={shlex.quote(value)}" for name, value in self.settings().items()]

    def wait_for(self, condition: Callable[[Sequence[Arrival]], bool], *, timeout: float = 10.0) -> list[Arrival]:
        """
        Wait until `condition` holds for the log, and return the log. Nothing is polled.

        `condition` is asked whenever a request arrives or is answered; it must not wait for anything.

        Raises:
            TimeoutError: it does not hold within `timeout` seconds.
        """
        if not self._log.wait_for(condition, timeout):
            msg = f"what was waited for did not arrive within {timeout} s; {len(self.log)} requests are in the log"
            raise TimeoutError(msg)
        return self.log

    def wait_for_token_requests(self, count: int, scope: int | str | None = None, *, timeout: float = 10.0) -> None:
        """
        Wait until `count` partner token requests for `scope` (None: any) have arrived, answered or not.

        Raises:
            TimeoutError: fewer have arrived within `timeout` seconds.
        """
        if not self._log.wait_for_token_requests(count, scope_text(scope), timeout):
            msg = f"{self.token_requests(scope)} of {count} token requests arrived within {timeout} s"
            raise TimeoutError(msg)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
