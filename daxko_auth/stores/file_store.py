"""
Tokens kept in files, for all processes of one user on one machine.

One encrypted file per account, origin and Daxko client, in a folder that is this user's only. Whatever is wrong with
one file concerns its key alone: it is a miss, and the next token replaces it. An error means the folder.

Locks are the kernel's record locks (POSIX `fcntl`). They belong to a process, so those of one that was killed are free
at once, and a forked child has none of its parent's, whatever descriptors it inherits. Between threads of one process
they do not count: there a lock in memory comes first.
"""

import errno
import functools
import os
import re
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from platformdirs import user_cache_path

from daxko_auth.model.errors import TokenStoreError
from daxko_auth.model.fork import reset_after_fork
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.log import WarningThrottle, warn
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.stores.private_folder import OpenFolder, PrivateFolder
from daxko_auth.stores.sealing import LARGEST_ENTRY, entry_name, sealed, unsealed

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

if sys.platform != "win32":  # pragma: no branch - there a FileStore refuses to be made
    import fcntl

_Use = Callable[Concatenate["FileStore", _Parameters], _Result]

#: Seconds between two tries to get a lock that somebody else has.
_PAUSE: Final = 0.02
#: Held for one comparison and one replacement, and once a day for sweeping.
_FOLDER_LOCK: Final = "lock"
_FOLDER_LOCK_WAIT: Final = 2.0
_DAY: Final = 86_400.0
#: No token lives longer than 30 days, and a turn is taken for each.
_LITTER_AGE: Final = 31 * _DAY
_ASIDE: Final = r"\.[0-9a-f]{16}\.tmp"
_OURS: Final = re.compile(rf"[0-9]+-[0-9a-f]{{32}}\.(?:token|lock)(?:{_ASIDE})?|{_FOLDER_LOCK}{_ASIDE}")
# What is read-only, immutable, a mount point, or of the lower layer of an overlay.
_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV, errno.EISDIR})


class _ThreadLocks:
    """Which thread of this process has, or waits for, which lock of a folder."""

    def __init__(self) -> None:
        self._locks: dict[tuple[tuple[int, int], str], threading.Lock] = {}
        reset_after_fork(self)

    def of(self, folder: OpenFolder, name: str) -> threading.Lock:
        # One step, so that two threads never have a lock each.
        return self._locks.setdefault((folder.identity, name), threading.Lock())

    def after_fork_in_child(self) -> None:
        self._locks = {}


_THREAD_LOCKS: Final = _ThreadLocks()


def _explains(use: _Use[_Parameters, _Result]) -> _Use[_Parameters, _Result]:
    """Decorate what uses the folder: an error of the system is told with what to do."""

    @functools.wraps(use)
    def explained(store: "FileStore", /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return use(store, *args, **kwargs)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        path = store._folder.path  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this module
        raise TokenStoreError(
            f"token store: {path} cannot be used ({reason}). Let this user read and write that folder, see that the "
            "disk is not full, or pass FileStore the path of another folder"
        )

    return explained


def _tells(use: _Use[_Parameters, _Result]) -> _Use[_Parameters, _Result]:
    """Decorate what takes locks and gives them back: only then is warned of what was noted meanwhile."""

    @functools.wraps(use)
    def telling(store: "FileStore", /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return use(store, *args, **kwargs)
        finally:
            store._tell_noted()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this module

    return telling


class FileStore:
    """
    Shares tokens between the processes of one user on one machine, through files in `folder`.

    Without a folder they go into the user's cache: losing one costs a token request, and no backup needs it. The
    folder is made when the first token is asked for. A `FileStore` stands for its folder and holds no secret, so it
    may be pickled.

    Raises:
        TokenStoreError: the folder cannot be one that is this user's only, or is a URL.
        TypeError: `folder` is no path.
    """

    @hides_locals
    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        if not hasattr(os, "geteuid"):
            raise TokenStoreError(
                "token store: a FileStore keeps others out by owners and modes of files, which this system does not "
                "have. Use a MemoryStore or a RedisStore"
            )
        path = os.fspath(_cache_of_this_user()) if folder is None else _path_of(folder)
        self._folder = PrivateFolder(path)
        self._troubles: defaultdict[str, WarningThrottle] = defaultdict(WarningThrottle)
        # What there is to warn of once no lock is held.
        self._untold: deque[tuple[str, str]] = deque()

    @hides_locals
    @_tells
    @_explains
    def read(self, key: TokenKey) -> AccessToken | None:
        """
        Return the token kept for `key`, usable or not.

        Raises:
            TokenStoreError: the folder cannot be used.
        """
        entry = _entry(key)
        with suppress(FileNotFoundError), self._folder.opened() as folder:
            return self._kept(folder, key, entry)
        return None

    @hides_locals
    @_tells
    @_explains
    def write(self, key: TokenKey, token: AccessToken) -> None:
        """
        Keep `token`, unless one that ends later is kept already.

        Raises:
            TokenStoreError: the folder cannot be used.
        """
        entry = _entry(key)
        with self._where_writable(self._folder.path), self._folder.opened(make=True) as folder:
            with folder.written(entry, sealed(key, token)) as new, ExitStack() as held:
                lock = self._lock(held, folder, _FOLDER_LOCK, _FOLDER_LOCK_WAIT)
                kept = self._kept(folder, key, entry)
                if kept is None or kept.expires_at <= token.expires_at:
                    with self._where_writable(self._folder.path / entry):
                        folder.replace(entry, new)
                # Once a day for all processes together: the lock's own age says when it was done.
                if lock is not None and time.time() - os.fstat(lock).st_mtime > _DAY:
                    os.utime(lock)
                    folder.sweep(_OURS, _LITTER_AGE)
            folder.sync()

    @hides_locals
    @_tells
    @_explains
    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """
        Forget exactly this token, not its successor.

        Raises:
            TokenStoreError: the folder cannot be used.
        """
        entry = _entry(key)
        with self._where_writable(self._folder.path), suppress(FileNotFoundError), self._folder.opened() as folder:
            with ExitStack() as held:
                self._lock(held, folder, _FOLDER_LOCK, _FOLDER_LOCK_WAIT)
                if self._kept(folder, key, entry) == token:
                    with self._where_writable(self._folder.path / entry):
                        folder.remove(entry)
            folder.sync()

    @contextmanager
    def turn(self, key: TokenKey, timeout: float) -> Generator[None, None, None]:
        """
        Wait up to `timeout` seconds until nobody else renews this token, then go on in any case.

        Raises:
            TokenStoreError: the folder cannot be used.
        """
        noted: list[tuple[str, str]] = []
        try:
            with ExitStack() as held:
                try:
                    self._take_turn(held, key, timeout)
                finally:
                    # Aside, so that what is done within the turn does not tell it.
                    noted = self._noted()
                yield
        finally:
            self._tell(noted)

    @_explains
    def _take_turn(self, held: ExitStack, key: TokenKey, timeout: float) -> None:
        with self._folder.opened(make=True) as folder, suppress(TokenStoreError):
            lock = self._lock(held, folder, f"{entry_name(key)}.lock", timeout)
            if lock is not None:
                # It is no litter. Whoever is about to take it while it is swept away may not be alone in its turn,
                # once a month, and that costs a token request.
                os.utime(lock)

    def _kept(self, folder: OpenFolder, key: TokenKey, entry: str) -> AccessToken | None:
        try:
            token = unsealed(key, folder.read(entry, LARGEST_ENTRY))
            why = "does not open: it is damaged, or another version's"
        except FileNotFoundError:
            return None
        except OSError as error:
            token, why = None, f"cannot be read ({error.strerror})"
        if token is None:
            self._note(
                "entry", f"{self._folder.path / entry} {why}. It counts as missing until the next token replaces it"
            )
        return token

    def _lock(self, held: ExitStack, folder: OpenFolder, name: str, timeout: float) -> int | None:
        """
        Return the lock, locked until `held` ends, or None where there are no locks.

        Raises:
            TokenStoreError: somebody else has had it for `timeout` seconds.
        """
        until = time.monotonic() + timeout
        # First of all, because closing any descriptor of the file would give the lock of another thread back.
        of_threads = _THREAD_LOCKS.of(folder, name)
        # A negative number would mean for ever, or nothing at all.
        if of_threads.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            held.callback(of_threads.release)
            try:
                lock = self._lock_file(held, folder, name)
                while not _locks(lock):
                    left = until - time.monotonic()
                    if left <= 0:
                        break
                    time.sleep(min(_PAUSE, left))
                else:
                    return lock
            except OSError as error:
                self._note(
                    "lock",
                    f"no lock can be had in {self._folder.path} ({error.strerror}). Processes may ask for a token each",
                )
                return None
        raise TokenStoreError(
            f"token store: somebody else has held {self._folder.path / name} for {timeout:.0f} s. If a process was "
            "stopped, let it go on, or end it"
        )

    def _lock_file(self, held: ExitStack, folder: OpenFolder, name: str) -> int:
        def opened() -> int:
            return held.enter_context(folder.opened(name, os.O_RDWR | os.O_CREAT))

        try:
            return opened()
        except OSError:
            # What keeps this from being of use is told by the next step.
            with suppress(OSError):
                if not folder.is_ours(name):
                    folder.put_aside(name)
                    self._note("lock", f"{self._folder.path / name} was no file of this user, and was put aside")
        return opened()

    @contextmanager
    def _where_writable(self, path: Path) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            self._note("write", f"{path} cannot be written to ({error.strerror}): nothing is kept there")

    def _note(self, trouble: str, what: str) -> None:
        # A handler of the log may take long, or ask for a token; nobody is to wait for a lock meanwhile.
        self._untold.append((trouble, what))

    def _noted(self) -> list[tuple[str, str]]:
        noted: list[tuple[str, str]] = []
        with suppress(IndexError):  # also where another thread takes the last
            while True:
                noted.append(self._untold.popleft())
        return noted

    def _tell_noted(self) -> None:
        self._tell(self._noted())

    def _tell(self, noted: list[tuple[str, str]]) -> None:
        for trouble, what in noted:
            # By trouble, so that one does not hide another.
            warn("token store: %s", what, level=self._troubles[trouble].level(time.monotonic()))

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (str(self._folder.path),)

    def __repr__(self) -> str:
        return f"<FileStore in {self._folder.path}>"


def _path_of(folder: str | os.PathLike[str]) -> str:
    path: object = None
    with suppress(TypeError):  # it is none
        path = os.fspath(folder)
    if not isinstance(path, str):
        msg = f"a FileStore takes the path of a folder, not {type(folder).__name__}; pass a string or a pathlib.Path"
        raise TypeError(msg)
    # In a Path the two slashes are one.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path):
        raise TokenStoreError(
            "token store: a FileStore takes the path of a folder, and this is a URL. Pass a path, or pass the URL of a "
            "Redis to RedisStore"
        )
    return path


def _cache_of_this_user() -> os.PathLike[str]:
    with suppress(RuntimeError):
        return user_cache_path("daxko-auth", appauthor=False)
    raise TokenStoreError(
        "token store: this user has no home. Set HOME or XDG_CACHE_HOME to the path of a folder, or pass FileStore the "
        "path of one"
    )


def _locks(lock: int) -> bool:
    # The kernel's own, without a package in between: those hook into every fork of the program, and some make it fail.
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # POSIX lets a system say either.
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _entry(key: TokenKey) -> str:
    return f"{entry_name(key)}.token"
