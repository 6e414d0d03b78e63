"""
A job as Airflow runs one: plain functions that a DAG wraps with `@task`, each perhaps in a process of its own.

    with DAG("daxko", schedule="@daily"):
        task(report)(task(extract).expand(client_id=[9999, 1234]))

The tasks of one machine share tokens through files. Tasks hand on rows, never tokens: what they return is kept.
"""

from typing import Any

from daxko_auth import ApiCredentials, Daxko, FileStore, TokenSource


def extract(client_id: int) -> dict[str, Any]:
    """Fetch what Daxko knows of the locations of a customer."""
    with TokenSource(ApiCredentials.from_env(), store=FileStore()) as source:
        with Daxko(source.credentials, client_id, source=source) as daxko:
            answer = daxko.http.get("/v3/programs/locations")
            answer.raise_for_status()
            return {"client_id": client_id, "locations": answer.json()}


def report(extracted: list[dict[str, Any]]) -> str:
    """Say what was fetched."""
    return f"fetched from {len(extracted)} customers"


if __name__ == "__main__":
    print(report([extract(client_id) for client_id in (9999, 1234)]))
