"""
The cassette of examples/testing: what vcr_config() makes of the program's requests, recorded as integrators do.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpcore
import httpx
import pytest
import yaml
from recording.studio import Forwarder
from vcr import VCR

from daxko_auth.sandbox import Sandbox
from daxko_auth.testing import vcr_config

EXAMPLE = Path(__file__).parents[2] / "examples" / "testing"
LOCATIONS = [
    {"id": 2, "name": "Riverside", "city": "Springfield", "updated": "2026-09-01T08:00:00Z"},
    {"id": 1, "name": "Downtown", "city": "Springfield", "updated": "2026-09-01T08:00:00Z"},
]


@pytest.fixture
def daxko_itself(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a sandbox answer for Daxko's own address, below the recorder, with the account in the environment."""
    for name, value in sandbox.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAXKO_BASE_URL")
    sandbox.fail_next(1, "answer", where="resource", body=LOCATIONS)
    with httpcore.ConnectionPool() as pool:
        forwarder = Forwarder(sandbox.base_url, pool)

        def answer(_: object, request: httpx.Request) -> httpx.Response:
            response = forwarder.handler(request)
            response.request = request
            return response

        monkeypatch.setattr("vcr.patch._HttpxHttpTransport_handle_request", answer)
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
        yield


@pytest.mark.usefixtures("daxko_itself", "daxko_recording")
@pytest.mark.shows_secrets("wire")
def test_a_new_recording_is_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An example whose cassette nobody could have made with these settings is none."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.delitem(sys.modules, "locations", raising=False)
    made, committed = tmp_path / "locations.yaml", EXAMPLE / "cassettes" / "locations.yaml"

    with VCR(**vcr_config()).use_cassette(str(made)):
        __import__("locations").locations(9999)

    said = f"copy {made} to {committed}, and look at the difference"
    assert yaml.safe_load(made.read_text("utf-8")) == yaml.safe_load(committed.read_text("utf-8")), said
