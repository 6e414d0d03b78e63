"""What mkdocs does to every page: links to files of the project, which the site has not, become their names."""

import re
from typing import Final

_OUT_OF_DOCS: Final = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the page as the site has it."""
    return _OUT_OF_DOCS.sub(r"`\1`", markdown)
