"""No mistake with a credential shows the credential, not even to an error reporter that prints locals."""

import copy
import pprint
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.pretty import pretty_repr

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import AccessToken, MemberToken

# Part of every secret below, whatever is wrong with it.
CANARY = "canary"
JWT = f"eyJ{CANARY}.e30.{CANARY}"
ACCESS_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6ImNsaWVudDo5OTk5In0.canary"
GOOD = {"username": "daxko_api_user", "password": f"{CANARY}-password", "refresh_token": f"{CANARY}.refresh"}

MISTAKES: list[dict[str, object]] = [
    {"password": ""},
    {"refresh_token": ""},
    {"username": 7},
    {"username": JWT},
    {"username": f"{CANARY}\n"},
    {"password": JWT},
    {"password": CANARY.encode()},
    {"password": [CANARY]},
    {"password": f"{CANARY}\n"},
    {"password": f" {CANARY}"},
    {"password": f"{CANARY}\udc80"},
    {"refresh_token": CANARY.encode()},
    {"refresh_token": f"Bearer {CANARY}"},
    {"refresh_token": f"{CANARY}..."},
    {"refresh_token": f'"{CANARY}"'},
    {"refresh_token": GOOD["password"]},
    {"refresh_token": ACCESS_TOKEN},
]


def shown(error: BaseException) -> str:
    """Return all that an error reporter can show of `error`, with the locals of our frames."""
    texts = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(copy.copy(error))]
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in report.stack if "daxko_auth" in frame.filename]
    assert ours
    # rich looks into values by itself, past their repr.
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "daxko_auth" in frame.f_code.co_filename]
    texts += [pretty_repr(local) for frame in frames for local in frame.f_locals.values()]
    return "\n".join([*texts, *(repr(frame.locals) for frame in ours)])


@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
def test_a_refused_argument_is_in_no_message_and_in_no_local(mistake: dict[str, object]) -> None:
    """Error reporters send the locals of every frame to a server of somebody else's."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials(**(GOOD | mistake))  # type: ignore[arg-type]
    assert CANARY not in shown(caught.value)


@pytest.mark.parametrize(
    "mistake",
    [
        {"password": None},
        {"password": " "},
        {"username": JWT},
        {"password": f"{CANARY}\n"},
        {"refresh_token": ACCESS_TOKEN},
        {"password_file": f"/nowhere/{CANARY}"},
        {"password": None, "password_file": CANARY},
        {"password": None, "password_file": f"{CANARY}\0"},
    ],
    ids=repr,
)
def test_a_refused_environment_is_in_no_message_and_in_no_local(mistake: dict[str, str | None]) -> None:
    """The whole environment is one mapping: a frame that holds it would show every secret of the program."""
    settings = {f"DAXKO_{name.upper()}": value for name, value in (GOOD | mistake).items()}
    environ = {name: value for name, value in settings.items() if value is not None} | {"OTHER_SECRET": CANARY}
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(environ)
    assert CANARY not in shown(caught.value)


def test_a_refused_file_is_in_no_message_and_in_no_local(tmp_path: Path) -> None:
    """Nor is what a file holds."""
    file = tmp_path / "password"
    file.write_text(f"{CANARY}\n\n")
    environ = {f"DAXKO_{name.upper()}": value for name, value in GOOD.items() if name != "password"}
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(environ | {"DAXKO_PASSWORD_FILE": str(file)})
    assert CANARY not in shown(caught.value)


END = datetime(2030, 1, 1, tzinfo=UTC)
HOLDERS: list[object] = [
    ApiCredentials(**GOOD),
    AccessToken(ClientScope(9999), Secret(CANARY), END, 86_400),
    MemberToken(Secret(CANARY), END, 86_400, {"member_id": 7}),
]


@pytest.mark.parametrize("show", [repr, str, pprint.pformat, lambda value: f"{value} {value!r}", lambda v: "%r" % [v]])
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_whatever_holds_a_secret_prints_without_it(holder: object, show: Callable[[object], str]) -> None:
    """Settings and tokens are printed far more often than secrets themselves."""
    assert CANARY not in show(holder)


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_taken_apart_by_attrs_the_secret_stays_a_secret(holder: Any) -> None:
    """`asdict` is how values get into JSON, logs and templates."""
    assert attrs.has(type(holder))
    assert CANARY not in repr(attrs.asdict(holder))
    assert CANARY not in repr(attrs.astuple(holder))
