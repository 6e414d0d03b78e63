"""
`daxko-auth`, and `python -m daxko_auth`: says which extra is missing, or opens the command line.
"""

import sys

from daxko_auth.cli import streams
from daxko_auth.model.extras import missing_extra


def main() -> None:
    """Run the command line; the exit status is the command's own, or 1 where the `cli` extra is missing."""
    streams.make_usable()
    try:
        from daxko_auth.cli.command_line import app  # noqa: PLC0415 - only here can a missing extra be explained
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "daxko_auth":
            raise
        sys.exit(missing_extra("the command line", error, "cli"))
    app(prog_name="daxko-auth")


if __name__ == "__main__":
    main()
