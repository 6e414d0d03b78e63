"""
A dlt source: the locations of every customer, with one token for each.

    pipeline = dlt.pipeline("daxko", destination="duckdb")
    pipeline.run(daxko([9999, 1234]))
"""

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources import DltResource
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import SinglePagePaginator

from daxko_auth import ApiCredentials, RequestsAuth, TokenSource


@dlt.source
def daxko(client_ids: list[int]) -> DltResource:
    """Return what can be loaded."""
    source = TokenSource(ApiCredentials.from_env())

    @dlt.resource(name="locations", write_disposition="replace")
    def locations() -> Iterator[Any]:
        for client_id in client_ids:
            rest = RESTClient(
                source.origin.base_url,
                headers={"Accept": "application/json"},
                auth=RequestsAuth(source, client_id),
                paginator=SinglePagePaginator(),
            )
            for page in rest.paginate("/v3/programs/locations"):
                yield from page

    return locations
