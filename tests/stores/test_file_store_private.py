"""The store in files is its owner's only: modes, owners and links, at the beginning and later."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from keeping import KEY, PASSWORD, REFRESH_TOKEN, USERNAME, entry_in, token, warnings_of
from leaks.rendering import rendered

from daxko_auth import FileStore, TokenStoreError
from daxko_auth.stores.sealing import entry_name

NOBODY = 65_534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def umask(bits: int) -> Iterator[None]:
    """Take these bits away from what is made."""
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def as_anybody() -> Iterator[Path]:
    """Be somebody to whom modes apply, with a place to write to; root is not."""
    with tempfile.TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(place)
        finally:
            if os.getuid() == 0:
                os.seteuid(0)


@pytest.mark.parametrize("bits", [0o000, 0o022, 0o077])
def test_whatever_the_umask_files_and_folders_are_their_owners_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    """From the first moment, temporary files and locks included; and so are the folders above that were missing."""
    monkeypatch.delattr(os, "fchmod")  # or else they would be open for a moment
    seen: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(os.fstat(number).st_mode), real(number))[1])
    folder = tmp_path / "cache" / "daxko" / "tokens"
    store = FileStore(folder)
    with umask(bits), store.turn(KEY, timeout=0):
        store.write(KEY, token())
    assert [stat.S_IMODE(each) for each in seen if stat.S_ISREG(each)] == [0o600]
    assert [mode(each) for each in (folder, *folder.parents[:2])] == [0o700] * 3
    assert {path.suffix: mode(path) for path in folder.iterdir()} == {"": 0o600, ".lock": 0o600, ".token": 0o600}


def test_files_that_others_could_read_are_tightened(store: FileStore, folder: Path) -> None:
    """A mode that is set when a file is made leaves older files as open as they were."""
    with store.turn(KEY, timeout=0):
        store.write(KEY, token())
    for path in folder.iterdir():
        path.chmod(0o666)
    assert store.read(KEY) == token()
    with store.turn(KEY, timeout=0):
        store.write(KEY, token())
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_nothing_readable_is_in_the_folder(store: FileStore, folder: Path) -> None:
    """Neither in a file nor in its name: backups and support bundles take everything along."""
    with store.turn(KEY, timeout=0):
        store.write(KEY, token("that-nobody-may-read"))
    there = b"".join(os.fsencode(path.name) + path.read_bytes() for path in folder.iterdir())
    for secret in ("that-nobody-may-read", USERNAME, PASSWORD, REFRESH_TOKEN):
        assert secret.encode() not in there


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (Path.touch, "is no folder"),
    "a link": (lambda path: path.symlink_to(path.parent), "is a symbolic link"),
    "a link to nowhere": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
    "entered by others": (lambda path: (path.mkdir(), path.chmod(0o701)), r"is open to others \(mode 0701\)"),
    "read by a group": (lambda path: (path.mkdir(), path.chmod(0o740)), r"is open to others \(mode 0740\)"),
    "for everybody": (lambda path: (path.mkdir(), path.chmod(0o1777)), r"is open to others \(mode 1777\)"),
}
ADVICE = "Pass FileStore the path of a folder of its own"


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=UNFIT)
def test_a_folder_that_is_not_private_is_refused_when_the_store_is_made(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    """Not tightened: it may be /tmp, or somebody's home."""
    path = tmp_path / "tokens"
    make(path)
    before = mode(path)
    with pytest.raises(TokenStoreError, match=f"tokens' {why}. {ADVICE}"):
        FileStore(path)
    assert mode(path) == before


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=UNFIT)
def test_nor_is_it_used_when_it_becomes_so_later(
    store: FileStore, folder: Path, make: Callable[[Path], object], why: str
) -> None:
    """A program runs for months; what was looked at once may be something else by now."""
    make(folder)
    for use in (
        lambda: store.read(KEY),
        lambda: store.write(KEY, token()),
        lambda: store.drop(KEY, token()),
        lambda: store.turn(KEY, timeout=0).__enter__(),
    ):
        with pytest.raises((TokenStoreError, OSError), match=f"{why}|Not a directory|symbolic"):
            use()
    assert not (folder / "lock").exists()
    assert list(folder.parent.glob("*.tmp")) == list(folder.parent.glob("*.lock")) == []


def way_through_links(monkeypatch: pytest.MonkeyPatch, top: Path) -> None:
    """Make a folder to look like the root of a file system in which only root and this user write, and a home in it."""
    real = os.lstat

    def seen(path: str | os.PathLike[str], **options: Any) -> os.stat_result:
        found = real(path, **options)
        fields = list(found)
        if Path(path) in top.parents:
            fields[stat.ST_MODE] &= ~0o022
            fields[stat.ST_UID] = 0
        return os.stat_result(fields)

    monkeypatch.setattr(os, "lstat", seen)


LINKS: dict[str, Callable[[Path], object]] = {
    "absolute": lambda top: (top / "link").symlink_to(top / "real"),
    "relative": lambda top: (top / "link").symlink_to("real"),
    "upwards": lambda top: (top / "link").symlink_to("real/../real"),
    "through another": lambda top: ((top / "first").symlink_to(top), (top / "link").symlink_to("first/real")),
}


@pytest.mark.parametrize("make", LINKS.values(), ids=LINKS)
def test_a_link_on_the_way_is_followed_where_nobody_else_can_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    """The system has some (/home, /var on macOS), and a home whose .cache is on a larger disk has one."""
    way_through_links(monkeypatch, tmp_path)
    (tmp_path / "real").mkdir()
    make(tmp_path)
    store = FileStore(tmp_path / "link" / ".." / "real" / "inner" / "tokens")
    store.write(KEY, token())
    assert FileStore(tmp_path / "real/inner/tokens").read(KEY) == token()
    assert FileStore(tmp_path / "link/inner/tokens").read(KEY) == token()


def test_a_link_on_the_way_to_what_is_not_there_yet_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is mounted later, perhaps."""
    way_through_links(monkeypatch, tmp_path)
    (tmp_path / "link").symlink_to("later")
    store = FileStore(tmp_path / "link" / "tokens")
    assert store.read(KEY) is None
    (tmp_path / "later").mkdir()
    store.write(KEY, token())
    assert store.read(KEY) == token()


@pytest.mark.parametrize("open_to_others", ["above the link", "above its target", "nothing, but it is a circle"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_link_on_the_way_that_others_can_change_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_to_others: str, when: str
) -> None:
    """It could lead to another folder of this user tomorrow; the message names it."""
    way_through_links(monkeypatch, tmp_path)
    link, path = tmp_path / "a" / "link", tmp_path / "a" / "link" / "inner" / "tokens"
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "real" / "inner").mkdir(parents=True)
    store = FileStore(path)
    if open_to_others == "above the link":
        (tmp_path / "a").chmod(0o1777)
        link.symlink_to(tmp_path / "b" / "real")
    elif open_to_others == "above its target":
        (tmp_path / "b").chmod(0o775)
        link.symlink_to(tmp_path / "b" / "real")
        (tmp_path / "b" / "real" / "inner").rename(tmp_path / "b" / "elsewhere")
        (tmp_path / "b" / "real" / "inner").symlink_to(tmp_path / "b" / "elsewhere")
        link = tmp_path / "b" / "real" / "inner"
    else:
        link.symlink_to("link")
    with pytest.raises(TokenStoreError, match=f"by the symbolic link '{link}', which others can change; name the path"):
        FileStore(path) if when == "before" else store.write(KEY, token())


@root_only
def test_a_link_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it may have made it where it is."""
    way_through_links(monkeypatch, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.chown(tmp_path / "link", NOBODY, -1, follow_symlinks=False)
    with pytest.raises(TokenStoreError, match="which others can change"):
        FileStore(tmp_path / "link" / "tokens")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is no path"),
        (" ", "is no path"),
        ("tokens\0", "is no path"),
        ("~nobody_has_this_name/tokens", "begins with a home that is not known"),
        ("file/tokens", r"cannot be looked at \(Not a directory\)"),
        ("x" * 300, r"cannot be looked at \(File name too long\)"),
    ],
)
def test_a_path_that_cannot_be_a_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    """A setting that was left blank would put tokens wherever the program was started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(TokenStoreError, match=f"' {why}. {ADVICE}"):
        FileStore(path)


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell in a folder that was deleted meanwhile starts programs all the same."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(TokenStoreError, match=f"'tokens' is relative to a folder that is gone. {ADVICE}"):
        FileStore("tokens")


def test_the_file_of_a_credential_is_refused_as_a_folder(tmp_path: Path) -> None:
    """One setting is put in the place of another; a store that wrote there would destroy the password."""
    secret = tmp_path / "refresh-token"
    secret.write_text("canary")
    with pytest.raises(TokenStoreError, match="is no folder"):
        FileStore(secret)
    assert secret.read_text() == "canary"


@root_only
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, when: str) -> None:
    """Its owner could read what is written there, and put there what is read."""
    folder = tmp_path / "tokens"
    folder.mkdir(0o700)
    if when == "after":
        store = FileStore(folder)
    os.chown(folder, NOBODY, -1)
    with pytest.raises(TokenStoreError, match=rf"belongs to another user \(number {NOBODY}, and this is 0\)"):
        store.read(KEY) if when == "after" else FileStore(folder)


@root_only
def test_a_file_of_somebody_else_is_not_read_and_is_replaced(
    store: FileStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy by root, perhaps; whoever owns it can change it."""
    store.write(KEY, token("a"))
    os.chown(entry_in(folder), NOBODY, -1)
    assert store.read(KEY) is None
    assert "not a file of this user" in warnings_of(caplog)[0]
    store.write(KEY, token("b"))
    assert store.read(KEY) == token("b")
    assert entry_in(folder).stat().st_uid == 0


def test_a_link_in_the_folder_is_never_followed(
    store: FileStore, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Or a token would be written over whatever it leads to."""
    precious = tmp_path / "precious"
    precious.write_text("canary")
    precious.chmod(0o644)
    folder.mkdir(0o700)
    for name in (entry_in(folder).name, f"{entry_name(KEY)}.lock", "lock"):
        (folder / name).symlink_to(precious)
    with store.turn(KEY, timeout=600):
        assert store.read(KEY) is None
        store.write(KEY, token("a"))
        assert store.read(KEY) == token("a")
    assert (precious.read_text(), mode(precious)) == ("canary", 0o644)
    assert len(warnings_of(caplog)) == 2, "of the entry and of the locks"
    assert not (folder / "lock").is_symlink()


def test_a_file_that_may_not_be_read_is_a_miss_and_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else's chmod must not fail a request."""
    with as_anybody() as place:
        store = FileStore(place / "tokens")
        store.write(KEY, token("a"))
        entry_in(place / "tokens").chmod(0)
        assert store.read(KEY) is None
        store.write(KEY, token("b"))
        assert store.read(KEY) == token("b")
    assert len(warnings_of(caplog)) == 1
    assert "cannot be read (Permission denied)" in warnings_of(caplog)[0]


def test_a_folder_that_may_not_be_written_to_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """With the modes of a real folder, and without root's rights."""
    with as_anybody() as place:
        store = FileStore(place / "tokens")
        store.write(KEY, token("a"))
        (place / "tokens").chmod(0o500)
        with store.turn(KEY, timeout=600):
            assert store.read(KEY) == token("a")
            store.write(KEY, token("b", minutes=1))
            store.drop(KEY, token("a"))
            assert store.read(KEY) == token("a")
        (place / "tokens").chmod(0o700)
    assert len(warnings_of(caplog)) == 2, "that there is no lock for a turn, and no writing"


def test_without_a_folder_tokens_go_into_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where backups do not look; and nothing is made before there is a token to keep."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = FileStore()
    assert list(tmp_path.iterdir()) == []
    store.write(KEY, token("a"))
    assert FileStore("~/cache/daxko-auth" if os.uname().sysname == "Linux" else None).read(KEY) == token("a")


def test_a_system_without_owners_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would keep others out."""
    monkeypatch.delattr(os, "geteuid")
    with pytest.raises(TokenStoreError, match="Use a MemoryStore or a RedisStore"):
        FileStore(tmp_path)


@pytest.mark.parametrize("given", [5, b"/tmp/x", ["tokens"], object(), Path])
def test_what_is_no_path_is_said_to_be_that(given: Any) -> None:
    """Python's own words name neither the store nor what to pass."""
    with pytest.raises(TypeError, match=r"^a FileStore takes the path of a folder, not .*; pass a string or a pathlib"):
        FileStore(given)


class _PathOfBytes:
    def __fspath__(self) -> bytes:
        return b"/tmp/x"


def test_a_path_of_bytes_is_refused_as_well() -> None:
    """It would fail in the middle of something else."""
    with pytest.raises(TypeError, match="not _PathOfBytes; pass"):
        FileStore(cast("Any", _PathOfBytes()))


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+socket", "https"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_url_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, kind: Callable[[str], Any]
) -> None:
    """Its password would stand in the name of the folder, and nothing would be shared."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TokenStoreError, match=r"this is a URL\. Pass a path, or pass the URL .* RedisStore$") as caught:
        FileStore(kind(f"{scheme}://user:canary-pw@host:6379/0"))
    assert "canary-pw" not in rendered(caught.value)
    assert list(tmp_path.iterdir()) == []
