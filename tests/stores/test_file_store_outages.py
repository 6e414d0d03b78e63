"""The store in files where the system gives no locks, no space or no leave to write: requests go on."""

import errno
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keeping import KEY, child_that, entry_in, token, warnings_of

from daxko_auth import ApiCredentials, FileStore, TokenSource, TokenStoreError
from daxko_auth.sandbox import Sandbox
from daxko_auth.stores import file_store
from daxko_auth.stores.sealing import entry_name


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_it_reads_and_writes_all_the_same(
    store: FileStore,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    """Some network file systems have none. A lock by a file's existence would outlive whoever was killed."""

    def none_here(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "lockf", none_here)
    with store.turn(KEY, timeout=600), FileStore(folder).turn(KEY, timeout=0):
        store.write(KEY, token("a", minutes=1))
        store.write(KEY, token("b"))
        assert store.read(KEY) == token("a")
        store.drop(KEY, token("a"))
        assert store.read(KEY) is None
    mine = [warning for warning in warnings_of(caplog) if "no lock can be had" in warning]
    assert len(mine) == 1, "of the store whose turn it is; within one process there are locks"
    assert mine == warnings_of(caplog)
    assert sorted(path.name for path in folder.iterdir()) == [f"{entry_name(KEY)}.lock", "lock"]


def failing(monkeypatch: pytest.MonkeyPatch, name: str, code: int, when: Callable[..., bool]) -> None:
    """Have a function of `os` fail, as the system does."""
    real = getattr(os, name)

    def fails(*args: Any, **options: Any) -> Any:
        if when(*args):
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(os, name, fails)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_what_cannot_be_written_to_is_still_read(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A volume mounted read-only brings tokens into a container. The system's answer is put on here."""
    store.write(KEY, token("a"))
    entry_in(folder).chmod(0o644)
    reader = FileStore(folder)
    failing(monkeypatch, "fchmod", code, lambda *_: True)
    failing(monkeypatch, "open", code, lambda _, flags, *__: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
    failing(monkeypatch, "unlink", code, lambda *_: True)
    for _ in range(2):
        with reader.turn(KEY, timeout=600):
            assert reader.read(KEY) == token("a")
            reader.write(KEY, token("b", minutes=1))
            reader.drop(KEY, token("a"))
    assert reader.read(KEY) == token("a")
    assert len([warning for warning in warnings_of(caplog) if "cannot be written to" in warning]) == 1
    assert len(warnings_of(caplog)) == 2, "that, and that there are no locks"


def written(store: FileStore) -> None:
    """Write a newer token."""
    store.write(KEY, token("b", minutes=1))


def dropped(store: FileStore) -> None:
    """Drop the one that is there."""
    store.drop(KEY, token("a"))


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.EPERM])
@pytest.mark.parametrize(("name", "change"), [("replace", written), ("unlink", dropped)])
def test_an_entry_that_cannot_be_replaced_or_removed_concerns_its_own_key(
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    change: Callable[[FileStore], None],
    code: int,
) -> None:
    """A file that is mounted into a container, or immutable; raised, it would cost all customers their store."""
    store = FileStore(folder)
    store.write(KEY, token("a"))
    with pytest.MonkeyPatch.context() as broken:
        failing(broken, name, code, lambda path, to="", **_: entry_in(folder).name in (path, to))
        change(store)
    assert store.read(KEY) == token("a")
    (warning,) = warnings_of(caplog)
    assert f"{entry_in(folder)} cannot be written to" in warning


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_leaves_the_token_that_was_there(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    """A disk that is full fails the write, which the caller has to know; it costs nothing that was kept."""
    store.write(KEY, token("a"))
    with monkeypatch.context() as broken:
        failing(broken, name, code, lambda *_: True)
        with pytest.raises(TokenStoreError, match=rf"{folder} cannot be used \({os.strerror(code)}\)\. Let this"):
            store.write(KEY, token("b", minutes=1))
    assert store.read(KEY) == token("a")
    assert list(folder.glob("*.tmp")) == []
    store.write(KEY, token("b", minutes=1))
    assert store.read(KEY) == token("b")


USES: dict[str, Callable[[FileStore], object]] = {
    "read": lambda store: store.read(KEY),
    "write": lambda store: store.write(KEY, token("a")),
    "drop": lambda store: store.drop(KEY, token("a")),
    "turn": lambda store: store.turn(KEY, timeout=0).__enter__(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOTDIR, errno.EMFILE])
def test_a_folder_that_cannot_be_used_is_an_error_of_the_library_with_what_to_do(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[FileStore], object], code: int
) -> None:
    """Whoever asks a store explicitly catches TokenStoreError, and has no use for the frames of an OSError."""
    store.write(KEY, token("a"))
    failing(monkeypatch, "open", code, lambda path, *_: path == folder)
    with pytest.raises(TokenStoreError, match=os.strerror(code)) as caught:
        use(store)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_a_parent_that_has_become_a_file_is_such_an_error(tmp_path: Path) -> None:
    """Every use goes by it, before the folder itself is looked for."""
    store = FileStore(tmp_path / "parent" / "tokens")
    (tmp_path / "parent").touch()
    for use in USES.values():
        with pytest.raises(TokenStoreError, match="Not a directory"):
            use(store)


@pytest.mark.parametrize("umask", [0o777, 0o277, 0o022, 0])
def test_an_odd_umask_makes_no_folder_that_nobody_can_open(tmp_path: Path, umask: int) -> None:
    """It would stay so when the umask is another."""
    before = os.umask(umask)
    try:
        store = FileStore(tmp_path / "above" / "tokens")
        with store.turn(KEY, timeout=0):
            store.write(KEY, token("a"))
    finally:
        os.umask(before)
    assert store.read(KEY) == token("a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "above").rglob("*")}
    assert (tmp_path / "above").stat().st_mode & 0o777 == modes.pop("tokens") == 0o700
    assert set(modes.values()) == {0o600}


class _LockedMeanwhile(logging.Handler):
    """A handler of the log that looks which locks are held, and then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[str] = []
        self.locked: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Look."""
        self.records.append(record.getMessage())
        of_threads = file_store._THREAD_LOCKS._locks
        self.locked |= {name for (_, name), lock in of_threads.items() if lock.locked()}
        raise ZeroDivisionError


@pytest.fixture
def looking() -> Iterator[_LockedMeanwhile]:
    """Log to a handler that looks at the locks."""
    handler = _LockedMeanwhile()
    logging.getLogger("daxko_auth").addHandler(handler)
    yield handler
    logging.getLogger("daxko_auth").removeHandler(handler)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_log_is_told_of_trouble_while_no_lock_is_held_and_may_fail(
    store: FileStore, folder: Path, looking: _LockedMeanwhile, use: Callable[[FileStore], object]
) -> None:
    """A handler may take long, or ask for a token itself; others who wait for the lock would wait for it."""
    store.write(KEY, token("a"))
    entry_in(folder).write_bytes(b"damaged")
    for name in ("lock", f"{entry_name(KEY)}.lock"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()
    if use is USES["turn"]:
        with store.turn(KEY, timeout=0):
            assert looking.records == []
    else:
        use(store)
    assert looking.records
    assert looking.locked == set()


def test_a_file_system_that_cannot_sync_a_folder_will_do(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost at a power cut costs a token request."""
    failing(monkeypatch, "fsync", errno.EINVAL, lambda number: os.path.isdir(f"/dev/fd/{number}"))  # noqa: PTH112
    store.write(KEY, token("a"))
    store.drop(KEY, token("a"))
    assert store.read(KEY) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
# From Python 3.12 on. That is what this is about.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_stands_still_with_the_folders_lock_stops_nobody_for_long(
    store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing without the lock could put an older token over a newer one; so it is not written, and that is said."""
    monkeypatch.setattr(file_store, "_FOLDER_LOCK_WAIT", 0.05)
    store.write(KEY, token("a"))

    def stands_still() -> object:
        frozen = (folder / "lock").open("r+")
        fcntl.lockf(frozen, fcntl.LOCK_EX)
        return frozen

    with child_that(stands_still):
        for change in (store.write, store.drop):
            with pytest.raises(TokenStoreError, match="somebody else has held"):
                change(KEY, token("a"))
        assert store.read(KEY) == token("a")


def test_a_source_with_a_store_that_cannot_be_used_asks_for_itself(
    sandbox: Sandbox, credentials: ApiCredentials, store: FileStore, folder: Path
) -> None:
    """A store is there to save requests."""
    folder.mkdir(0o777)
    folder.chmod(0o777)
    with TokenSource(credentials, sandbox.base_url, store=store) as source:
        source.reject(source.token(9999))
        assert source.token(9999)
    assert list(folder.iterdir()) == []
