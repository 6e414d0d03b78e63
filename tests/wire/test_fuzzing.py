"""The fuzzer's own seeds, on every run; scripts/fuzz goes on from there."""

import pytest
from fuzzing import SEEDS, read

from daxko_auth.wire.token_response import Grant


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_every_seed_keeps_the_promises(seed: bytes) -> None:
    """A fuzzer whose harness is broken finds nothing, and looks clean."""
    read(seed)


def test_the_seeds_reach_both_ends() -> None:
    """From seeds that are all refused the fuzzer would never come to a grant."""
    assert {isinstance(read(seed), Grant) for seed in SEEDS} == {True, False}
