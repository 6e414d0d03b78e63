"""The store in files: what is broken heals, what is dead is swept away, and another process finds the same."""

import os
import pickle
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from keeping import KEY, OTHERS, entry_in, key, token, warnings_of, whole

from daxko_auth import ApiCredentials, ClientScope, FileStore, TokenKey, TokenSource
from daxko_auth.sandbox import Sandbox
from daxko_auth.stores.sealing import entry_name

DAY = 86_400.0


def a_socket(path: Path) -> None:
    """Leave a socket there; its path would be too long."""
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(path.parent)
        made.bind(path.name)


def a_link_to_a_good_one(path: Path) -> None:
    """Put a link there to what would open."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else there."""
    path.unlink()
    make(path)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "two characters too many": lambda path: path.write_bytes(path.read_bytes() + b"}}"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "another format": lambda path: path.write_text('{"access_token": "no"}'),
    "a later version": lambda path: path.write_bytes(path.read_bytes().replace(b" 1\n", b" 2\n")),
    "endless": lambda path: os.truncate(path, 1 << 40),
    "a folder": lambda path: replaced(path, Path.mkdir),
    "a folder with something in it": lambda path: replaced(path, lambda made: (made / "x").mkdir(parents=True)),
    "a link": a_link_to_a_good_one,
    "a link to nowhere": lambda path: replaced(path, lambda made: made.symlink_to("nowhere")),
    "a pipe": lambda path: replaced(path, os.mkfifo),
    "a socket": lambda path: replaced(path, a_socket),
}


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN)
def test_a_broken_entry_is_a_miss_with_one_warning_and_the_next_token_heals_it(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture, break_it: Callable[[Path], object]
) -> None:
    """Elsewhere one stray character failed every run until somebody deleted the file by hand."""
    store.write(KEY, token("a", minutes=9))
    break_it(entry_in(folder))

    assert store.read(KEY) is None
    store.drop(KEY, token("a"))
    assert store.read(KEY) is None
    (warning,) = warnings_of(caplog)
    assert str(entry_in(folder)) in warning

    store.write(KEY, token("b"))
    assert whole(FileStore(folder).read(KEY)) == whole(token("b"))
    assert len(warnings_of(caplog)) == 1


NO_LOCK = ["a folder", "a folder with something in it", "a link", "a link to nowhere", "a pipe", "a socket"]


@pytest.mark.parametrize("name", [f"{entry_name(KEY)}.lock", "lock"], ids=["of a token", "of the folder"])
@pytest.mark.parametrize("kind", NO_LOCK)
def test_what_is_no_lock_is_put_aside_with_one_warning(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture, kind: str, name: str
) -> None:
    """Or else every process would ask for that token, until somebody looks into the folder."""
    with store.turn(KEY, timeout=0):
        store.write(KEY, token("a"))
    BROKEN[kind](folder / name)

    for _ in range(2):
        with store.turn(KEY, timeout=0):
            store.write(KEY, token("a"))
            assert (folder / name).is_file()
    (warning,) = warnings_of(caplog)
    assert f"{folder / name} was no file of this user, and was put aside" in warning
    (aside,) = folder.glob("*.tmp")

    for path, days in ((aside, 32), (folder / "lock", 2)):
        os.utime(path, (time.time() - days * DAY,) * 2, follow_symlinks=False)
    store.write(KEY, token("a"))
    assert aside.is_dir() == (kind == "a folder with something in it")
    assert set(folder.glob("*.tmp")) <= {aside}


def test_a_broken_key_costs_no_other_customer_anything(
    sandbox: Sandbox, credentials: ApiCredentials, folder: Path
) -> None:
    """Three programs one after the other ask once for each customer."""
    name = entry_name(TokenKey(sandbox.base_url, credentials, ClientScope(9999)))
    for kind in ("token", "lock"):
        (folder / f"{name}.{kind}").mkdir(0o700, parents=True)
    folder.chmod(0o700)
    for _ in range(3):
        with TokenSource(credentials, sandbox.base_url, store=FileStore(folder)) as source:
            source.token(9999)
            source.token(1234)
    assert (sandbox.token_requests(9999), sandbox.token_requests(1234)) == (1, 1)


def test_a_broken_entry_breaks_no_other(store: FileStore, folder: Path) -> None:
    """One file per account, origin and customer is what keeps a fault small."""
    store.write(KEY, token("a"))
    for other in OTHERS.values():
        store.write(other, token("b", scope=other.scope.client_id))
    entry_in(folder).write_bytes(b"")
    assert store.read(KEY) is None
    assert all(store.read(other) for other in OTHERS.values())


def test_a_folder_that_is_not_there_is_a_miss_and_comes_back_with_the_next_token(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Caches are deleted while programs run."""
    assert store.read(KEY) is None
    store.drop(KEY, token("a"))
    assert not folder.exists()
    store.write(KEY, token("a"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert store.read(KEY) is None
    with store.turn(KEY, timeout=0):
        store.write(KEY, token("b"))
    assert store.read(KEY) == token("b")
    assert warnings_of(caplog) == []


def test_what_nobody_has_touched_for_a_month_is_swept_away_once_a_day(store: FileStore, folder: Path) -> None:
    """Every rotated password and every killed writer leaves files that nobody will ever read."""

    def litter() -> list[Path]:
        left = entry_name(OTHERS["password"])
        found = [folder / name for name in (f"{left}.token", f"{left}.lock", f"{left}.token.{'ab' * 8}.tmp", "x")]
        found[2].write_bytes(b"half")
        for path in found[:2]:
            path.touch()
        found[3] = folder / f"{left}.token.{'cd' * 8}.tmp"
        found[3].mkdir()
        for path in found:
            os.utime(path, (time.time() - 32 * DAY,) * 2)
        return found

    store.write(KEY, token("a"))
    with store.turn(KEY, timeout=0):
        pass
    for name, age in (("notes.txt", 99), (f"{entry_name(key(scope=1234))}.token", 30)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age * DAY,) * 2)
    kept = set(folder.iterdir())
    left = litter()
    store.write(KEY, token("a"))
    assert set(folder.iterdir()) == kept | set(left), "the folder is not a day old"

    os.utime(folder / "lock", (time.time() - 2 * DAY,) * 2)
    store.write(KEY, token("a"))
    assert set(folder.iterdir()) == kept

    left = litter()
    FileStore(folder).write(KEY, token("a"))
    assert set(folder.iterdir()) == kept | set(left), "somebody did it today"


def test_a_lock_in_use_is_no_litter(store: FileStore, folder: Path) -> None:
    """A customer whose token is renewed every month keeps its lock."""
    lock = folder / f"{entry_name(KEY)}.lock"
    for _ in range(2):
        with store.turn(KEY, timeout=0):
            assert time.time() - lock.stat().st_mtime < DAY
        os.utime(lock, (time.time() - 30 * DAY,) * 2)


def test_a_folder_with_something_in_it_that_was_put_aside_is_not_touched(store: FileStore, folder: Path) -> None:
    """Somebody made it, and may miss it."""
    store.write(KEY, token("a"))
    replaced(entry_in(folder), lambda path: (path / "theirs").mkdir(parents=True))
    entry_in(folder).chmod(0o755)
    store.write(KEY, token("b"))
    (aside,) = folder.glob("*.tmp")
    os.utime(aside, (time.time() - 99 * DAY,) * 2)
    os.utime(folder / "lock", (time.time() - 2 * DAY,) * 2)
    store.write(KEY, token("b"))
    assert (aside / "theirs").is_dir()
    assert aside.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_can_be_sent_to_a_worker_and_is_the_same_store_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    """It stands for a path, which a process that was started elsewhere has to find as well."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("tokens")
    monkeypatch.chdir("/")
    store.write(KEY, token("a"))
    sent = pickle.loads(pickle.dumps(store, protocol))  # noqa: S301 - our own
    assert repr(sent) == repr(store) == f"<FileStore in {tmp_path / 'tokens'}>"
    assert sent.read(KEY) == token("a")
