"""Sixteen cold processes and one folder: they behave like one program, also when one of them is killed."""

from pathlib import Path

from workers import fleet

from daxko_auth.sandbox import Sandbox

PROCESSES = 16


def test_sixteen_cold_processes_with_one_folder_cause_one_token_request(sandbox: Sandbox, tmp_path: Path) -> None:
    """A deployment starts them all at once, and the rate limit is the account's."""
    sandbox.hold()
    with fleet(sandbox, PROCESSES, "FileStore", str(tmp_path / "tokens")) as workers:
        for worker in workers:
            worker.go()
        sandbox.wait_for_token_requests(1)
        sandbox.release()
        assert [worker.said() for worker in workers] == ["200"] * PROCESSES
        assert sandbox.token_requests() == 1

        # And when a token is refused, the first to renew does so for all.
        sandbox.revoke()
        for worker in workers:
            worker.go()
        assert [worker.said() for worker in workers] == ["200"] * PROCESSES
    assert sandbox.token_requests() == 2


def test_when_whoever_is_asking_is_killed_the_next_one_asks_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """A lock by a file's existence would hold the other fifteen up until somebody deleted it."""
    with fleet(sandbox, PROCESSES, "FileStore", str(tmp_path / "tokens")) as workers:
        # So that nobody has anything else to do when it matters.
        for worker in workers:
            worker.go(1234)
        assert [worker.said() for worker in workers] == ["200"] * PROCESSES
        sandbox.hold()
        first, *others = workers
        first.go()
        sandbox.wait_for_token_requests(1, 9999)
        for worker in others:
            worker.go()
        first.kill()
        # Those who wait for their turn would do so for half an hour.
        sandbox.wait_for_token_requests(2, 9999)
        sandbox.release()
        assert [worker.said() for worker in others] == ["200"] * len(others)
    assert (sandbox.token_requests(1234), sandbox.token_requests(9999)) == (1, 2)
