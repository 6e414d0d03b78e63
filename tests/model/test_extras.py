"""What is said where an extra is missing."""

from typing import get_args

import pytest

from daxko_auth.model.extras import Extra, missing_extra


@pytest.mark.parametrize("extra", get_args(Extra))
def test_a_missing_extra_is_named_with_the_command_that_installs_it(extra: Extra) -> None:
    """Nobody should have to look for either; and the command is one that works, and gets this project's code."""
    error = ModuleNotFoundError("No module named 'some_module'", name="some_module")

    assert missing_extra("SomeStore", error, extra) == (
        f"SomeStore needs some_module, which the extra `{extra}` installs: "
        f"in a checkout of daxko-auth, run pip install '.[{extra}]'"
    )
