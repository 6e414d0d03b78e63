"""Nothing of ours is written to a disk: no token, no lock, no temporary file that somebody else could read."""

import shlex
import subprocess
import sys
from pathlib import Path

from daxko_auth.sandbox import Sandbox

# Python tells an audit hook of each file that is opened, and of each change to a folder.
LIFE = """
import os, sys

written = []
CHANGES = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod", "tempfile.", "shutil.")

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND) and path != os.devnull:
            written.append(f"{event} {path}")
    elif event.startswith(CHANGES):
        written.append(f"{event} {arguments}")

sys.addaudithook(watch)

import anyio
from daxko_auth import ApiCredentials, AsyncDaxko, Daxko, MemoryStore, TokenRequestError, TokenSource

credentials = ApiCredentials.from_env()
with TokenSource(credentials, store=MemoryStore()) as source, Daxko(credentials, 9999, source=source) as daxko:
    daxko.http.get("/v3/x").raise_for_status()
    daxko.member_token("member_name", "member_password")
    source.reject(source.token(9999))
    daxko.http.get("/v3/x").raise_for_status()
    try:
        source.token(4321)
    except TokenRequestError:
        print("refused")

async def main():
    async with AsyncDaxko(credentials, 9999) as daxko:
        (await daxko.http.get("/v3/x")).raise_for_status()
        await daxko.member_token("member_name", "member_password")

for backend in ("asyncio", "trio"):
    anyio.run(main, backend=backend)
if len(sys.argv) > 1:
    open(sys.argv[1], "w").close()
print(*written, sep="\\n")
"""


def live(sandbox: Sandbox, folder: Path, *arguments: str) -> list[str]:
    """Live a life of tokens in a process that starts in an empty folder; return what it says it wrote."""
    settings = dict(shlex.split(line)[1].split("=", 1) for line in sandbox.exports())
    shown = subprocess.run(  # noqa: S603 - our own lines
        [sys.executable, "-B", "-c", LIFE, *arguments],
        cwd=folder,
        env={**settings, "HOME": str(folder), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, *written = shown.stdout.split("\n")
    assert first == "refused"
    return [line for line in written if line]


def test_a_whole_life_of_tokens_writes_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """What is not on the disk is neither torn, nor stale, nor readable by others."""
    assert live(sandbox, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_would_be_noticed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A watch that sees nothing is always content."""
    assert live(sandbox, tmp_path, "token.json") == ["open token.json"]
