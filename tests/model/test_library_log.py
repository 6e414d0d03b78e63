"""What the library logs: one line a record, whatever was put into it."""

import ast
import logging
from pathlib import Path

import pytest

import daxko_auth
from daxko_auth.model import log as log_module
from daxko_auth.model.log import log

# What asks a logger to log.
LOGS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"})


def test_a_record_is_one_line_that_acts_on_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A path or a server's words with a line break would forge a record of somebody else's."""
    caplog.set_level(logging.INFO)
    log.info("%s: %s %d %.1f", "a\nroot: forged", ValueError("\x1b[31mred\u202e"), 401, 0.25)
    log.info("%(path)s %(status)d", {"path": "/v3/\r\nx", "status": 401})
    log.info("plain 100%")

    assert caplog.messages == [
        r"a\nroot: forged: \x1b[31mred\u202e 401 0.2",
        r"/v3/\r\nx 401",
        "plain 100%",
    ]


def test_all_that_is_logged_goes_through_the_function_that_never_raises() -> None:
    """A filter or a handler of the program that fails must not fail a token request or a call."""
    library = Path(daxko_auth.__file__).parent
    modules = [path for path in library.rglob("*.py") if path != Path(log_module.__file__)]
    found = [
        f"{path.relative_to(library)}:{node.lineno}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOGS
        and ast.unparse(node.func.value).rpartition(".")[2] in {"log", "logger", "logging"}
    ]

    assert found == []
