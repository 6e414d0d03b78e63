"""A script: one customer, one call. Settings come from the environment."""

import json
import sys

from daxko_auth import ApiCredentials, Daxko, DaxkoAuthError

try:
    with Daxko(ApiCredentials.from_env(), 9999) as daxko:
        answer = daxko.http.get("/v3/programs/locations")
        answer.raise_for_status()
        print(json.dumps(answer.json(), indent=2))
except DaxkoAuthError as error:
    sys.exit(str(error))
