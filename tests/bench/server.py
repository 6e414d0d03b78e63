"""
A token server and an API in a process of its own, which answers after a set time: `python -m bench.server 0.1`.

It speaks to every contestant alike: a POST to any path is a token request, a GET is a call. It checks nothing but
whether a bearer is the last token it gave out.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

PARTNER_PATH: Final = "/v3/partners/oauth2/token"


class _Server:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.granted = 0
        self.life = 86_400
        # Calls are answered 401 unless they come with the last token.
        self.strict = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                status, body = await self._answer(method, path, headers.get("authorization", ""))
                answer = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(answer.encode() + body)
                await writer.drain()
                if headers.get("connection", "").lower() == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, bearer: str) -> tuple[int, bytes]:
        if path.startswith("/set/"):
            _, _, name, value = path.split("/")
            setattr(self, name, type(getattr(self, name))(float(value)))
            return 200, b"{}"
        if path == "/granted":
            return 200, str(self.granted).encode()
        if method == "POST":
            self.granted += 1
            token = {"access_token": f"token-{self.granted}", "token_type": "Bearer", "expires_in": self.life}
            await asyncio.sleep(self.latency)
            return 200, json.dumps(token).encode()
        return (401 if self.strict and bearer != f"Bearer token-{self.granted}" else 200), b"{}"


class TokenServer:
    """How the other process is told what to do."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @property
    def token_url(self) -> str:
        """Where everybody but us asks for tokens."""
        return f"{self.base_url}/token"

    def set(self, name: str, value: float) -> None:
        """Set its `latency`, the `life` of tokens, or whether it is `strict`."""
        httpx.get(f"{self.base_url}/set/{name}/{value}").raise_for_status()

    def granted(self) -> int:
        """Return how many tokens it gave out."""
        return int(httpx.get(f"{self.base_url}/granted").text)


@contextmanager
def token_server(latency: float) -> Iterator[TokenServer]:
    """Run one."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.server", str(latency)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield TokenServer(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


async def _main(latency: float) -> None:
    server = await asyncio.start_server(_Server(latency).serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - to whoever started it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1])))
