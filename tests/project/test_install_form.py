"""There is one form to install the library, that of a checkout: nothing shown takes its name from an index."""

import ast
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from project.checkout import texts

from daxko_auth.model.extras import Extra

PROJECT = Path(__file__).parents[2]
EXTRAS = set(tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])

# As an index reads the name: capitals, and how its words are joined, make no difference. Neither a path nor a file.
_NAME = r"(?<![\w./-])daxko[-_.]+auth(?![\w/-]|\.\w)"
# Between the words of a command: in a shell, perhaps folded by a backslash, or in a list of strings.
_GAP = r"""(?:["']?(?:[ \t]|\\\n)+["']?|["'][ \t]*,\s*["'])"""
# Behind `install`: what stands before the name, as far as the command goes. A checkout, `.`, ends it.
_WORDS = rf"""(?:(?:[\w/${{-]|\.\.?/)[\w.\[\]<>=!~:/*@${{}}-]*{_GAP})*?"""
TAKEN_FROM_AN_INDEX = re.compile(
    rf"""
    \b(?:
        pip[\d.]*{_GAP}(?:-[\w=./-]+{_GAP})*(?:install|download|wheel)
        | (?:uv|rye|pdm|poetry|pipenv|pixi|hatch){_GAP}(?:add|install)
        | uv{_GAP}tool{_GAP}(?:install|run)
        | uv{_GAP}run{_GAP}{_WORDS}--with
        | uvx
        | pipx{_GAP}(?:install|run|inject|upgrade)
        | (?:conda|mamba|micromamba){_GAP}(?:install|create)
        | easy_install
    )
    # Here a page, a comment or a string may go on in the next line, too.
    (?:{_GAP} | [\s"'=\\#]+) {_WORDS} {_NAME}
    # A requirement, whatever reads it.
    | {_NAME} [ \t]* (?:\[ | [=<>~!]=)
    # The metadata of a script or a project.
    | \b(?:dependencies|requires)\b [ \t]*=[ \t]* \[ [^\]]*? ["'] {_NAME}
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A line of a file that lists requirements.
LISTED = re.compile(rf"^[ \t]*(?:-[ \t]+)?{_NAME}[ \t]*$", re.MULTILINE | re.IGNORECASE)
LISTS = {".in", ".txt", ".yaml", ".yml"}
# There pip takes the name for the project itself.
SELF_REFERENCES = re.compile(r"^\[project\.optional-dependencies\]\n(?:(?!\[).*\n)*", re.MULTILINE)


def taken_from_an_index(path: Path, text: str) -> list[str]:
    """Return where a file would take the name from an index, as `file:line: what`."""
    if path == Path("pyproject.toml"):
        text = SELF_REFERENCES.sub(lambda table: "\n" * table.group().count("\n"), text)
    found = [*TAKEN_FROM_AN_INDEX.finditer(text), *(LISTED.finditer(text) if path.suffix in LISTS else ())]
    return [f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {' '.join(match.group().split())}" for match in found]


def test_nothing_takes_the_library_from_an_index() -> None:
    """The name is not registered: today that fails, and whoever registers it gets code into programs with secrets."""
    looked_at = dict(texts())

    assert {Path("README.md"), Path("pyproject.toml"), Path("scripts/test"), Path(".ci/run")} <= set(looked_at)
    assert [line for path, text in looked_at.items() for line in taken_from_an_index(path, text)] == []


# The name is put in for the braces, so that this file holds none of them.
@pytest.mark.parametrize("name", ["daxko" + "-auth", "daxko" + "_auth", "Daxko" + ".Auth"])
@pytest.mark.parametrize(
    "shown",
    [
        "pip install {}",
        "run `pip install {}`.",
        "pip install '{}[cli]'",
        'pip3 install --upgrade "{}==1.0"',
        "python -m pip --quiet install -c constraints.txt {}",
        'pip install -c "$PWD/constraints.txt" {}',
        "pip install --requirement ../requirements.txt {}",
        "%pip install -U {}",
        "pip install requests 'httpx>=0.27' {}",
        "pip install \\\n    --upgrade {}",
        "it comes with `pip install\n'{}[files]'`",
        "# with pip install\n# {}",
        '"needs it: pip install "\n    "{}"',
        "[sys.executable, '-m', 'pip', 'install', '{}']",
        '    "pip",\n    "install",\n    "--quiet",\n    "{}",\n',
        "uv pip install {}",
        "uv add {}",
        "uv add --optional web '{}'",
        "uv tool install {}",
        "uv run --with {} script.py",
        "uvx {} doctor 9999",
        "uvx --from {} daxko",
        "poetry add {}@latest",
        "pdm add {}",
        "pipenv install {}",
        "pipx install {}",
        "pipx run {} doctor",
        "conda install -c conda-forge {}",
        "with `{}[files]`",
        "msg = f'install {}[{{extra}}]'",
        "{} >= 1.0",
        "{}==0.1.0",
        '# dependencies = ["httpx", "{}"]',
        'dependencies = [\n    "httpx",\n    "{}",\n]',
    ],
)
def test_what_takes_it_from_an_index_is_found(shown: str, name: str) -> None:
    """However it is spelled: a pattern that finds nothing is not missed by anybody."""
    found = taken_from_an_index(Path("page.md"), f"a line\n{shown.format(name)}\na line\n")

    assert found
    assert re.match(r"page\.md:[2-5]: ", found[0])


@pytest.mark.parametrize(
    "shown",
    [
        "pip install .",
        "pip install '.[cli]'",
        "`pip install '.[cli]'` in a checkout brings `{}`",
        "pip install '.[cli]'\n{} sandbox --port 8700",
        "pip install '.[cli]' && {} doctor 9999",
        "in a checkout of {}, run pip install '.[{{extra}}]'",
        "pip install --editable '.[all]' --group dev",
        "pip install dist/{}-0.1.0-py3-none-any.whl",
        "pip install ./{}",
        "uv run {} doctor 9999",
        "python -m {}",
        '# dependencies = ["httpx"]\n"{}"',
        'name = "{}"',
        'response.extensions["{}"]',
        'SHOWN = ("pip install ", "scripts/demo", "{} sandbox")',
    ],
)
def test_the_form_of_a_checkout_is_let_through(shown: str) -> None:
    """What is refused without reason is soon refused by nobody."""
    for name in ("daxko" + "-auth", "daxko" + "_auth"):
        assert taken_from_an_index(Path("page.md"), f"a line\n{shown.format(name)}\na line\n") == []


def test_it_is_found_in_every_text_of_a_checkout_and_said_where(tmp_path: Path) -> None:
    """Whoever has to change it looks for the line; and a checkout need not be one of git's."""
    name = "daxko" + "-auth"
    command = f"\npip install {name}\n"
    pyproject = (
        f'\n[project.optional-dependencies]\ncli = ["{name}[files]"]\n\n[dependency-groups]\nx = ["{name}[cli]"]\n'
    )
    files = {
        ".gitignore": "# Not page.md\nbuild/\n*.egg-info/\nmade.*\n",
        **dict.fromkeys(["script", "deep/er/page.md", ".ci/run"], command),
        "deep/pyproject.toml": f'["{name}[files]"]\n',
        "requirements.txt": f"httpx\n{name}\n",
        "page.md": f"{name}\n",
        "pyproject.toml": pyproject,
        **dict.fromkeys(["build/page.md", "deep/build/page.md", "a.egg-info/page.md", "made.txt"], command),
        **dict.fromkeys([".git/config", "own/lib/page.md"], command),
        "own/pyvenv.cfg": "",
        "picture.png": f"\0{command}",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")

    assert [line for path, text in texts(tmp_path) for line in taken_from_an_index(path, text)] == [
        f"pyproject.toml:6: {name}[",
        f"requirements.txt:2: {name}",
        f"script:2: pip install {name}",
        f".ci/run:2: pip install {name}",
        f"deep/pyproject.toml:1: {name}[",
        f"deep/er/page.md:2: pip install {name}",
    ]


def test_every_extra_that_a_message_can_name_exists() -> None:
    """Of one that does not, pip only warns, and installs nothing. Types let a message name no other than these."""
    assert set(get_args(Extra)) <= EXTRAS


def test_every_extra_that_is_named_exists() -> None:
    """A page and a script outlive the extra that they name."""
    shown = re.compile(r"""(?:install(?:[ \t]+-[\w-]+)*[ \t]+['"]?\.\[|\bextra `)([\w, -]+)[\]`]""")
    named = {
        extra.strip(): str(path)
        for path, text in texts()
        for extras in shown.findall(text)
        for extra in extras.split(",")
    }

    assert {"cli", "files", "redis", "testing"} <= set(named)
    assert {extra: path for extra, path in named.items() if extra not in EXTRAS} == {}


def test_one_place_only_words_what_is_missing() -> None:
    """A second one would drift from the first, as three of them did."""
    # Docstrings stand alone, as expressions; messages do not.
    users = {
        path.relative_to(PROJECT / "daxko_auth").as_posix()
        for path in (PROJECT / "daxko_auth").rglob("*.py")
        for tree in [ast.parse(path.read_text("utf-8"))]
        for alone in [{id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and "pip install" in str(node.value) and id(node) not in alone
    }

    assert users == {"model/extras.py"}
