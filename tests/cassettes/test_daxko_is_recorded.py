"""The HTTP of a Daxko is recorded by vcrpy, which patches the transports of httpx."""

from pathlib import Path
from typing import Any

import anyio
import vcr

from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, TokenSource
from daxko_auth.sandbox import Sandbox


def without_authorization(request: Any) -> Any:
    """Keep the token out of the cassette."""
    request.headers.pop("Authorization", None)
    return request


def test_every_call_of_a_daxko_is_recorded(
    world: str, sandbox: Sandbox, credentials: ApiCredentials, source: TokenSource, tmp_path: Path
) -> None:
    """The token is attached in the transport, and what leaves it has to pass where recorders listen."""
    source.token(9999)

    async def calls() -> list[int]:
        async with AsyncDaxko(credentials, 9999, source=source) as daxko:
            return [(await daxko.http.get(path)).status_code for path in ("/v3/x", "/v3/y")]

    with vcr.use_cassette(str(tmp_path / "calls.yaml"), before_record_request=without_authorization) as cassette:
        if world != "thread":
            assert anyio.run(calls, backend=world) == [200, 200]
        else:
            with Daxko(credentials, 9999, source=source) as daxko:
                assert [daxko.http.get(path).status_code for path in ("/v3/x", "/v3/y")] == [200, 200]
    assert [request.path for request in cassette.requests] == ["/v3/x", "/v3/y"]
