"""
Collects, while one test runs, every secret that comes into being and everything that could show one.

What is said goes by where it was said: logs, output, warnings, exceptions, files, the wire. The judgement
comes when the test is over, because a secret may be said before it is known to be one.
"""

import logging
import os
import subprocess
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final

import pytest

from daxko_auth import AccessToken, ApiCredentials, DaxkoAuthError, MemberToken
from daxko_auth.model.secret import Secret
from daxko_auth.model.vendor import EXAMPLE_PASSWORD
from daxko_auth.sandbox import Account, Arrival, Sandbox
from daxko_auth.wire.member_login import MemberLogin
from leaks.needles import found_in, is_worth_hunting
from leaks.rendering import rendered

PLACES: Final = ("log", "output", "warnings", "exceptions", "files", "wire")

# A larger file is somebody's upload.
_LARGEST_FILE: Final = 1 << 22
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Of the tools that run the tests, not of the library.
_TOOLS_FILES: Final = (".coverage", ".hypothesis", "__pycache__", "/dev/", "/proc/")

_under_way: "list[Hunt]" = []


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _under_way:
        path, mode, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and (set(mode or "") & set("wax+") or (flags or 0) & _WRITING):
            _under_way[-1].paths.add(os.fsdecode(path))


# A hook cannot be taken away again, so there is one, and it asks who is hunting.
sys.addaudithook(_note_opened)


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


class Hunt:
    """One test's secrets, and what was said while it ran."""

    def __init__(self) -> None:
        # The guide's example is the account of every sandbox, in whichever process.
        self.secrets: dict[str, str] = {EXAMPLE_PASSWORD: "password"}
        self.said: defaultdict[str, list[str]] = defaultdict(list)
        self.paths: set[str] = set()
        self.arrivals: list[Arrival] = []
        self._errors: list[BaseException] = []

    def know(self, name: str, secret: Secret | str) -> None:
        """Learn a secret; what cannot be told from a word is let go."""
        value = secret.reveal() if isinstance(secret, Secret) else secret
        if is_worth_hunting(value):
            self.secrets[value] = name

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Listen, from here to `end`."""
        _under_way.append(self)
        logging.getLogger().setLevel(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).setLevel(logging.NOTSET)
        listen = partial(_listen, monkeypatch)
        # Afterwards, as a filter may have taken something out: what is left is what anybody can see.
        listen(logging.Logger, "handle", after=lambda _, record: self._log(record))
        listen(warnings.WarningMessage, "__init__", before=lambda _, what, *__, **___: self._warn(what))
        listen(pytest.CaptureFixture, "readouterr", result=self.said["output"].extend)
        listen(subprocess.CompletedProcess, "__init__", after=lambda done, *_, **__: self._printed(done))
        listen(DaxkoAuthError, "__init__", after=lambda error, *_, **__: self._errors.append(error))
        for raises in (pytest.RaisesExc, pytest.RaisesGroup):
            listen(raises, "__exit__", before=lambda _, __, error, ___: self._raised(error))
        self._learn_secrets(monkeypatch)

    def end(self, output: Iterable[str], folder: Path | None) -> None:
        """Take in what was printed, and what was written to files, then listen no longer."""
        _under_way.remove(self)
        self.said["output"].extend(output)
        for error in self._errors:
            self._raised(error)
        self._errors.clear()
        paths = {Path(path) for path in self.paths}
        if folder is not None:
            # Other processes write as well.
            paths |= set(folder.rglob("*"))
        for path in paths:
            if not any(part in str(path) for part in _TOOLS_FILES):
                self._read(path)
        self.said["wire"] += [f"{a.path}: {', '.join(a.misplaced)}" for a in self.arrivals if a.misplaced]

    def leaks(self, allowed: Iterable[str] = ()) -> list[str]:
        """Return which secret was found where, without showing it."""
        found: list[str] = []
        for place in PLACES:
            if place in allowed:
                continue
            if place == "wire":
                found += [f"misplaced on the wire: {what}" for what in self.said[place]]
                continue
            text = "\n".join(self.said[place])
            found += [f"{name} in {place}" for value, name in self.secrets.items() if found_in(text, [value])]
        return sorted(set(found))

    def _learn_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def credentials(made: ApiCredentials, *_: object, **__: object) -> None:
            self.know("password", made.password)
            self.know("refresh token", made.refresh_token)

        def account(made: Account, *_: object, **__: object) -> None:
            self.know("password", made.password)
            for password in made.members.values():
                self.know("member password", password)

        def login(_: object, token: AccessToken, __: str, password: Secret, **___: object) -> None:
            self.know("access token", token.reveal())
            self.know("member password", password)

        listen = partial(_listen, monkeypatch)
        listen(ApiCredentials, "__init__", after=credentials)
        listen(AccessToken, "__init__", after=lambda token, *_, **__: self.know("access token", token.reveal()))
        listen(MemberToken, "__init__", after=lambda token, *_, **__: self.know("member token", token.reveal()))
        listen(MemberLogin, "request", before=login)
        listen(MemberLogin, "arequest", before=login)
        listen(Account, "__init__", after=account)
        listen(Sandbox, "__init__", after=lambda made, *_, **__: self.know("refresh token", made.refresh_token))
        listen(Sandbox, "close", after=lambda made: self.arrivals.extend(made.log))

    def _warn(self, what: object) -> None:
        self.said["warnings"].append(str(what))

    def _printed(self, done: "subprocess.CompletedProcess[Any]") -> None:
        for text in (done.stdout, done.stderr):
            self.said["output"].append(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))

    def _log(self, record: logging.LogRecord) -> None:
        self.said["log"] += [record.getMessage(), repr(record.args)]
        if record.exc_info and record.exc_info[1]:
            self._raised(record.exc_info[1])

    def _raised(self, error: BaseException | None) -> None:
        if error is not None:
            self.said["exceptions"].append(rendered(error))

    def _read(self, path: Path) -> None:
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST_FILE:
                self.said["files"].append(path.read_bytes().decode("utf-8", "replace"))
        except OSError:
            return


def _listen(  # noqa: PLR0913 - all but three by name
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    *,
    before: Callable[..., object] = _nothing,
    after: Callable[..., object] = _nothing,
    result: Callable[[Any], object] = _nothing,
) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def heard(*args: Any, **options: Any) -> Any:
        before(*args, **options)
        try:
            returned = original(*args, **options)
        except BaseException:
            # Nobody is to find in this frame what the one below does not show.
            del args, options
            raise
        after(*args, **options)
        result(returned)
        return returned

    monkeypatch.setattr(owner, name, heard)
