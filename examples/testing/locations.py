"""
A program as one would write it: the names of a customer's locations. The tests beside it show how to test one.
"""

from typing import Any

from daxko_auth import ApiCredentials, Daxko


def locations(client_id: int) -> Any:
    """Return what Daxko knows of the locations of a Daxko client."""
    with Daxko(ApiCredentials.from_env(), client_id) as daxko:
        answer = daxko.http.get("/v3/programs/locations")
        answer.raise_for_status()
        return answer.json()


def names(found: list[dict[str, Any]]) -> list[str]:
    """Return their names, in order."""
    return sorted(location["name"] for location in found)
