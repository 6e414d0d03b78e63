"""
A folder that is this user's only, and files in it that are replaced whole or not at all.

What is a link, or belongs to somebody else, is refused. Everything goes by the descriptor of the folder that was
looked at, whatever becomes of its path meanwhile.
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
from daxko_auth.stores.open_files import OpenFiles

_OWNERS_ONLY: Final = 0o600


class PrivateFolder:
    """
    The folder at a path, which need not be there yet.

    Raises:
        TokenStoreError: it cannot be one that is this user's only.
    """

    def __init__(self, given: str) -> None:
        self.path = Path(given)
        self._files = OpenFiles()
        # An empty one, as of a setting that was left blank, would be the folder that the program was started in.
        why = "is no path" if not given.strip() or "\0" in given else None
        try:
            # The program may go to another folder later.
            self.path = self.path.expanduser().absolute()
        except RuntimeError:
            why = "begins with a home that is not known"
        except OSError:
            why = "is relative to a folder that is gone"
        why = why or _why_unfit(self.path)
        if why:
            raise _refused(given, why)

    @contextmanager
    def opened(self, *, make: bool = False) -> Generator["OpenFolder", None, None]:
        """
        Open the folder, and make it before if so asked.

        Raises:
            TokenStoreError: it is not, or no longer, this user's only.
            OSError: it is not there, or cannot be opened.
        """
        if make:
            missing = takewhile(lambda folder: not folder.exists(), (self.path, *self.path.parents))
            for folder in reversed(list(missing)):
                with suppress(FileExistsError):
                    folder.mkdir(0o700)
        with self._files.opened(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as number:
            why = _why_not_private(os.fstat(number))
            if why:
                raise _refused(str(self.path), why)
            yield OpenFolder(number, self._files)


@frozen
class OpenFolder:
    """The same, open; what goes wrong is an `OSError`."""

    _number: int
    _files: OpenFiles

    @contextmanager
    def opened(self, name: str, flags: int) -> Generator[int, None, None]:
        """Open a file that is ours, and ours only."""
        # Non-blocking, because somebody may have put a pipe there.
        with self._files.opened(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, within=self._number) as number:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise OSError(errno.EPERM, "not a file of this user")
            if stat.S_IMODE(found.st_mode) != _OWNERS_ONLY:
                with suppress(OSError):  # on a read-only file system
                    os.fchmod(number, _OWNERS_ONLY)
            yield number

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
            # Whoever made it may want what is in it: it is put aside, and swept away one day if it is empty.
            self._rename(name, _beside(name))
            self._rename(new, name)

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


def _beside(name: str) -> str:
    return f"{name}.{token_hex(8)}.tmp"


def _refused(path: str, why: str) -> TokenStoreError:
    return TokenStoreError(
        f"token store: {path!r} {why}. Pass FileStore the path of a folder of its own: it is made if there is nothing "
        "yet, and has to be this user's, with mode 0700, if there is"
    )


def _why_unfit(folder: Path) -> str | None:
    try:
        return _why_not_private(os.lstat(folder))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"


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
