"""What the library logs: one line a record, whatever was put into it."""

import logging

import pytest

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
