"""
`daxko-auth`, and `python -m daxko_auth`: says which extra is missing, or opens the command line.
"""

import sys


def main() -> None:
    """Run the command line; the exit status is the command's own, or 1 where the `cli` extra is missing."""
    try:
        from daxko_auth.doors.command_line import app  # noqa: PLC0415 - only here can a missing extra be explained
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "daxko_auth":
            raise
        sys.exit(
            f"the command line needs {error.name}, which is not installed: pip install 'daxko-auth[cli]', "
            "or in a checkout: pip install '.[cli]'"
        )
    app(prog_name="daxko-auth")


if __name__ == "__main__":
    main()
