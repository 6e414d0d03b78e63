"""
Runs the tests against each mutant and judges the survivors; `scripts/mutate` says how to call it.

A mutant gets a process of its own, forked where all but this project is imported already, in a copy of the tree. It
meets the tests that run its lines, quick ones and old killers first, up to the first that fails.
"""

import argparse
import collections
import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import coverage
import hypothesis
import pytest

from mutation.mutants import Mutant, mutants_of

ROOT: Final = Path(__file__).parents[2]
SURVIVORS: Final = Path(__file__).with_name("survivors.toml")
DEFAULT: Final = (
    *("daxko_auth/policy/*.py", "daxko_auth/model/secret.py", "daxko_auth/model/masking.py"),
    "daxko_auth/model/decoding.py",
    *("daxko_auth/wire/failure.py", "daxko_auth/model/origin.py", "daxko_auth/model/credentials.py"),
    *("daxko_auth/model/scope.py", "daxko_auth/model/jwt_claims.py", "daxko_auth/wire/exchange.py"),
    *("daxko_auth/wire/token_response.py", "daxko_auth/wire/retry_after.py", "daxko_auth/wire/http.py"),
    "daxko_auth/wire/transports.py",
)
ROOMS: Final = ("tests/model", "tests/wire", "tests/stores", "tests/policy", "tests/adapters", "tests/client")
#: Single tests that take longer, such as those of a thousand calls, are left out; so are tests beyond so much a mutant.
LONGEST_TEST, LONGEST_RUN = 3.0, 20.0
#: A mutant hangs if a test takes so long against it, or if a test that has failed does not end.
HANGS_AFTER, TEST_TIMEOUT = 60.0, 8.0
ENOUGH: Final = 0.9

_SLOW_TO_IMPORT: Final = (
    *("httpx", "trio", "anyio", "starlette.applications", "uvicorn", "jwt", "typer", "rich", "dateutil.parser"),
    *("_hypothesis_pytestplugin", "pytest_timeout"),
)
_HEAD: Final = """
| module | mutants | killed | hung, killed | survived | share killed | time |
|---|---|---|---|---|---|---|"""

Lines = dict[str, dict[int, list[str]]]


class _Chosen:
    """A pytest plugin: only these tests, in this order; and which of them failed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._rank = {name: rank for rank, name in enumerate(names)}
        self.failed = ""
        self.hung = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid
            self.hung = self.hung or "from pytest-timeout" in report.longreprtext


class _Recorder:
    """A pytest plugin: which test runs which lines, and how long it takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=["daxko_auth/*"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - began
        self._coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def lines(self) -> Lines:
        self._coverage.stop()
        data = self._coverage.get_data()
        return {
            str(Path(file).relative_to(Path.cwd())): data.contexts_by_lineno(file) for file in data.measured_files()
        }


def _in_a_child(job: Callable[[], Any], log: Path, seconds: float) -> Any:
    """Run `job` in a process of its own group and return what it returns, or None if it takes longer."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            answer_back = json.dumps(job()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer_back)
        except BaseException:  # noqa: BLE001 - nothing may leave this process but through the pipe
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    alarm = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with os.fdopen(reading, "rb") as answer:
            return json.loads(answer.read() or b'"it ended without a word"')
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _give_up(*_: object) -> None:
    raise TimeoutError


def _make_tree() -> Path:
    tree = Path(tempfile.mkdtemp(prefix="mutants-"))
    for kept in ("daxko_auth", "generated", "tests", "openapi", "scripts", "pyproject.toml", "README.md"):
        (shutil.copytree if (ROOT / kept).is_dir() else shutil.copy)(ROOT / kept, tree / kept)
    return tree


def _enter(tree: Path) -> None:
    """Import from `tree`, here and in every process that a test starts."""
    os.chdir(tree)
    places = [str(tree), str(tree / "generated"), str(tree / "tests")]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join(places[:2])
    # One process after another writes other code into the same file, within one second.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # What fails has failed: nobody needs a smaller example. And every run is the same.
    hypothesis.settings.register_profile(
        "mutation", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], derandomize=True, database=None
    )
    for slow in _SLOW_TO_IMPORT:
        with contextlib.suppress(ImportError):
            importlib.import_module(slow)
    gc.freeze()


def _pytest(*arguments: str, plugin: object) -> int:
    # Only the plugins that these rooms need, and no rewriting of asserts: both take longer than most tests.
    options = ("-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
    options = (*options, "--assert=plain", "--tb=short", "--no-header", "--hypothesis-profile=mutation")
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def _record() -> tuple[dict[str, float], Lines]:
    tree = _make_tree()

    def job() -> Any:
        _enter(tree)
        recorder = _Recorder()
        _pytest(*ROOMS, plugin=recorder)
        return recorder.seconds, recorder.lines(), sorted(recorder.failed)

    try:
        recorded = _in_a_child(job, tree / "log", 600)
        if not isinstance(recorded, list):
            sys.exit(f"the tests do not run:\n{(tree / 'log').read_text()[-3000:]}")
    finally:
        shutil.rmtree(tree)
    seconds, lines, failing = recorded
    for name in failing:
        print(f"left out, as it fails without any change: {name}")
        del seconds[name]
    # The names come many times over; interned, they need a hundredth of the memory.
    return seconds, {
        file: {int(line): list(map(sys.intern, tests)) for line, tests in by_line.items()}
        for file, by_line in lines.items()
    }


class _Worker:
    """What each process of the pool has: its own tree, and a memory of the tests that killed."""

    tree: Path
    kills: collections.Counter[tuple[str, str]]
    seconds: dict[str, float]

    @classmethod
    def begin(cls) -> None:
        cls.tree = _make_tree()
        cls.kills = collections.Counter()
        _enter(cls.tree)


def _try(mutant: Mutant, tests: list[str]) -> tuple[str, str]:
    """Return `killed` and by which test, `hung` or `survived`."""
    kills, seconds = _Worker.kills, _Worker.seconds
    room = mutant.module.replace("daxko_auth", "tests").rpartition("/")[0]

    def rank(name: str) -> tuple[int, bool, bool, float]:
        other_world = "asyncio" in name or "trio" in name
        return -kills[mutant.module, name], other_world, not name.startswith(room), seconds[name]

    order = sorted(tests, key=rank)
    spent = 0.0
    chosen = []
    for name in order:
        spent += seconds[name]
        if spent < LONGEST_RUN:
            chosen.append(name)
    place = _Worker.tree / mutant.module
    original = place.read_text()
    place.write_text(mutant.source)
    try:
        # Most die of the first tests, and collecting all takes longer than running those.
        for names in (chosen[:12], chosen[12:60], chosen[60:]):
            if names:
                outcome = _in_a_child(lambda names=names: _meet(names), _Worker.tree / "log", HANGS_AFTER)
                if outcome is None:
                    return "hung", ""
                if outcome != "":
                    kills[mutant.module, outcome] += 1
                    return "killed", outcome
    finally:
        place.write_text(original)
    return "survived", f"{len(chosen)} tests"


def _meet(names: list[str]) -> str | None:
    """Return which test failed, nothing if none did, or None if one hung."""
    plugin = _Chosen(names)
    code = _pytest(
        "-x", f"--timeout={TEST_TIMEOUT}", *sorted({name.partition("::")[0] for name in names}), plugin=plugin
    )
    if code == pytest.ExitCode.OK:
        return ""
    return None if plugin.hung else plugin.failed or f"exit code {code}"


def _accepted() -> set[tuple[str, str, str, str]]:
    entries = tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    return {(entry["module"], entry["function"], entry["was"], one) for entry in entries for one in entry["becomes"]}


def _main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate")
    parser.add_argument("modules", nargs="*", default=DEFAULT)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    modules = [
        str(path.relative_to(ROOT))
        for pattern in arguments.modules
        for path in sorted(ROOT.glob(pattern))
        if path.name != "__init__.py"
    ]
    print("recording which test runs which line ...", flush=True)
    seconds, lines = _record()
    _Worker.seconds = seconds
    accepted = _accepted()
    counts: dict[str, collections.Counter[str]] = {}
    rows, strangers = [_HEAD], 0
    with ProcessPoolExecutor(arguments.workers, get_context("fork"), _Worker.begin) as pool:
        for module in modules:
            began = time.monotonic()
            count = counts[module] = collections.Counter()
            mutants = list(mutants_of(ROOT, module))
            trials = [pool.submit(_try, mutant, _tests_for(mutant, seconds, lines)) for mutant in mutants]
            for mutant, trial in zip(mutants, trials, strict=True):
                outcome, how = trial.result()
                count[outcome] += 1
                if outcome == "survived":
                    known = mutant.name in accepted
                    strangers += not known
                    _show(mutant, f"{'accepted:' if known else 'NOT ACCEPTED:'} survived {how}")
            if mutants:
                rows.append(_row(module, count, time.monotonic() - began))
                print(f"\n{rows[-1]}", flush=True)
    print("\n".join(rows))
    return int(bool(strangers) or any(_share_killed(count) < ENOUGH for count in counts.values()))


def _show(mutant: Mutant, verdict: str) -> None:
    print(f"\n{verdict}\n  {mutant.module}:{mutant.lines.start} {mutant.function}")
    print(f"  was     = {mutant.was!r}\n  becomes = {mutant.becomes!r}", flush=True)


def _share_killed(count: collections.Counter[str]) -> float:
    return 1 - count["survived"] / (count.total() or 1)


def _row(module: str, count: collections.Counter[str], took: float) -> str:
    numbers = f"{count.total()} | {count['killed']} | {count['hung']} | {count['survived']}"
    return f"| {module} | {numbers} | {_share_killed(count):.1%} | {took:.0f} s |"


def _tests_for(mutant: Mutant, seconds: dict[str, float], lines: Lines) -> list[str]:
    by_line = lines.get(mutant.module, {})
    run_by = {name for line in mutant.lines for name in by_line.get(line, ())} & set(seconds)
    if not run_by:  # it runs at import: whatever uses the module, or only its numbers
        files = {name.partition("::")[0] for names in by_line.values() for name in names}
        run_by = {name for name in seconds if name.partition("::")[0] in files}
    return [name for name in run_by if seconds[name] < LONGEST_TEST]


if __name__ == "__main__":
    sys.exit(_main())
