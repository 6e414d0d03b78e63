"""
A folder that is this user's only, and files in it that are replaced whole or not at all.

What is a link, or belongs to somebody else, is refused. Everything goes by the descriptor of the folder that was
looked at, whatever becomes of its path meanwhile.

A forked child inherits the descriptors that are open at that moment. They do no harm there: see `file_store` on locks.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from secrets import token_hex
from typing import Final

from attrs import frozen

from daxko_auth.model.errors import TokenStoreError

_OWNERS_ONLY: Final = 0o600
#: As many as Linux follows in one path.
_MOST_LINKS: Final = 40
_ROOT: Final = 0


class PrivateFolder:
    """
    The folder at a path, which need not be there yet.

    Raises:
        TokenStoreError: it cannot be one that is this user's only.
    """

    def __init__(self, given: str) -> None:
        self.path = Path(given)
        # An empty one, as of a setting that was left blank, would be the folder that the program was started in.
        why = "is no path" if not given.strip() or "\0" in given else None
        try:
            # The program may go to another folder later.
            self.path = self.path.expanduser().absolute()
        except RuntimeError:
            why = "begins with a home that is not known"
        except OSError:
            why = "is relative to a folder that is gone"
        _require_fit(given, why or _why_unfit(self.path))

    @contextmanager
    def opened(self, *, make: bool = False) -> Generator["OpenFolder", None, None]:
        """
        Open the folder, and make it before if so asked.

        Raises:
            TokenStoreError: it is not, or no longer, this user's only.
            OSError: it is not there, or cannot be opened.
        """
        # Somebody may have put a link there since.
        _require_fit(str(self.path), _why_unsafely_linked(self.path))
        if make:
            missing = takewhile(lambda folder: not folder.exists(), (self.path, *self.path.parents))
            for folder in reversed(list(missing)):
                with suppress(FileExistsError):
                    folder.mkdir(0o700)
                    # The process's umask may have taken rights from this user, too.
                    folder.chmod(0o700)
        with _opened(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as number:
            found = os.fstat(number)
            _require_fit(str(self.path), _why_not_private(found))
            yield OpenFolder(number, (found.st_dev, found.st_ino))


@frozen
class OpenFolder:
    """The same, open; what goes wrong is an `OSError`."""

    _number: int
    #: The same for every path that leads here.
    identity: tuple[int, int]

    @contextmanager
    def opened(self, name: str, flags: int) -> Generator[int, None, None]:
        """Open a file that is ours, and ours only."""
        # Non-blocking, because somebody may have put a pipe there.
        with _opened(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, within=self._number) as number:
            found = os.fstat(number)
            if not _is_file_of_ours(found):
                raise OSError(errno.EPERM, "not a file of this user")
            if stat.S_IMODE(found.st_mode) != _OWNERS_ONLY:
                with suppress(OSError):  # on a read-only file system
                    os.fchmod(number, _OWNERS_ONLY)
            yield number

    def is_ours(self, name: str) -> bool:
        """Tell whether a file can be opened, as far as its kind, its owner and its mode are concerned."""
        found = os.stat(name, dir_fd=self._number, follow_symlinks=False)
        return _is_file_of_ours(found) and found.st_mode & _OWNERS_ONLY == _OWNERS_ONLY

    def read(self, name: str, at_most: int) -> bytes:
        """Return what a file begins with."""
        with self.opened(name, os.O_RDONLY) as number, os.fdopen(number, "rb", closefd=False) as file:
            return file.read(at_most)

    @contextmanager
    def written(self, name: str, content: bytes) -> Generator[str, None, None]:
        """Write a file that may replace `name`, and have it on the disk; at the end of the block it is gone."""
        new = _beside(name)
        try:
            with self.opened(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as number:
                with os.fdopen(number, "wb", closefd=False) as file:
                    file.write(content)
                os.fsync(number)
            yield new
        finally:
            with suppress(OSError):
                self.remove(new)

    def replace(self, name: str, new: str) -> None:
        """Put `new` in the place of `name`, whatever is there."""
        try:
            self._rename(new, name)
        except IsADirectoryError:
            self.put_aside(name)
            self._rename(new, name)

    def put_aside(self, name: str) -> None:
        """Rename what is there: whoever made it may want it. It is swept away one day, a folder if it is empty."""
        self._rename(name, _beside(name))

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self._number)

    def sync(self) -> None:
        """Have names on the disk, too."""
        with suppress(OSError):  # not every file system can; after a power cut the old names may be back
            os.fsync(self._number)

    def sweep(self, ours: re.Pattern[str], age: float) -> None:
        """Remove files of such names that nobody has written or locked for `age` seconds."""
        before = time.time() - age
        with os.scandir(self._number) as found:
            for file in found:
                with suppress(OSError):  # gone meanwhile, or a folder that is not empty
                    if ours.fullmatch(file.name) and file.stat(follow_symlinks=False).st_mtime < before:
                        remove = os.rmdir if file.is_dir(follow_symlinks=False) else os.unlink
                        remove(file.name, dir_fd=self._number)

    def _rename(self, name: str, to: str) -> None:
        os.replace(name, to, src_dir_fd=self._number, dst_dir_fd=self._number)


@contextmanager
def _opened(path: Path | str, flags: int, *, within: int | None = None) -> Generator[int, None, None]:
    number = os.open(path, flags, _OWNERS_ONLY, dir_fd=within)
    try:
        yield number
    finally:
        os.close(number)


def _is_file_of_ours(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _beside(name: str) -> str:
    return f"{name}.{token_hex(8)}.tmp"


def _require_fit(path: str, why: str | None) -> None:
    if why:
        raise TokenStoreError(
            f"token store: {path!r} {why}. Pass FileStore the path of a folder of its own: it is made if there is "
            "nothing yet, and has to be this user's, with mode 0700, if there is"
        )


def _why_unfit(folder: Path) -> str | None:
    try:
        return _why_unsafely_linked(folder) or _why_not_private(os.lstat(folder))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"


def _why_unsafely_linked(folder: Path) -> str | None:
    """
    Return which symbolic link above `folder` may lead where somebody else wants it to.

    Some are part of the system (/home, /var on macOS) or of a home (.cache on a larger disk). So those of root and of
    this user are followed where nobody else can write to any folder on the way.
    """
    ours = (_ROOT, os.geteuid())
    at, closed, links = Path("/"), True, 0
    ahead = list(folder.parts[-2:0:-1])
    while ahead:
        name = ahead.pop()
        if name == "..":
            at = at.parent
            continue
        try:
            found = os.lstat(at / name)
        except FileNotFoundError:
            return None
        if not stat.S_ISLNK(found.st_mode):
            at /= name
            closed = closed and found.st_uid in ours and not found.st_mode & 0o022
            continue
        links += 1
        if not closed or found.st_uid not in ours or links > _MOST_LINKS:
            return f"is reached by the symbolic link '{at / name}', which others can change; name the path it leads to"
        target = (at / name).readlink()
        ahead += [part for part in reversed(target.parts) if part != target.anchor]
        at = Path("/") if target.is_absolute() else at
    return None


def _why_not_private(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "is no folder"
    if found.st_uid != os.geteuid():
        return f"belongs to another user (number {found.st_uid}, and this is {os.geteuid()})"
    # Refused and not tightened: it may be a folder that others use for something else.
    if found.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None
