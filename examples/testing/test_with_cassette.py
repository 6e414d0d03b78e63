"""
Against a recording of Daxko's answers: what the program makes of real data.
"""

import os
from pathlib import Path

import pytest
from locations import locations, names
from vcr import VCR

from daxko_auth.testing import vcr_config

# RECORD_MODE=once asks Daxko itself for the cassettes that are missing, with the account of your DAXKO_* settings.
recorder = VCR(
    **vcr_config(),
    cassette_library_dir=str(Path(__file__).with_name("cassettes")),
    record_mode=os.environ.get("RECORD_MODE", "none"),
)


@pytest.mark.usefixtures("daxko_recording")
def test_the_names_are_those_of_the_customers_locations() -> None:
    """The recorded customer has two."""
    with recorder.use_cassette("locations.yaml") as cassette:
        assert names(locations(9999)) == ["Downtown", "Riverside"]
    assert cassette.all_played
