"""What the library logs: one line a record, whatever was put into it."""

import ast
import logging
from pathlib import Path

import pytest

import daxko_auth
from daxko_auth.model.log import log


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


# The lines of these come after all that a caller waits for.
LOG_DIRECTLY = {"wire/exchange.py", "adapters/calls.py"}


def test_only_one_function_logs_where_a_failing_handler_would_cost_more_than_a_line() -> None:
    """A filter of the program that raises in the middle of a store would cost the token."""
    library = Path(str(daxko_auth.__file__)).parent
    found = {
        file.relative_to(library).as_posix()
        for file in library.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "log"
    }
    assert found - LOG_DIRECTLY == {"model/log.py"}
