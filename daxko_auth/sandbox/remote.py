"""
The switches over HTTP, for tests in another process or another language.

Every answer is JSON. No bearer is asked for, nothing here is logged, and no answer holds a secret.
`where` is `partner` (default), `member` or `resource`; `scope` is `9999` or `"client:9999"`, and null means all.

| request to `/_sandbox/...` | JSON body (`?` may be left out) | what it does |
|---|---|---|
| `GET state` | | the settings in force |
| `GET log` | | `{"arrivals": [...]}`: what arrived, oldest first |
| `GET token_requests?scope=9999` | | `{"token_requests": n}`; without a scope, for all |
| `POST clear_log` | | forget the arrivals and count from zero |
| `POST set_token_life` | `seconds` | how long access tokens live that are issued from now on |
| `POST advance` | `seconds` | move the sandbox's clock |
| `POST expire` | `scope?` | end the life of access tokens now |
| `POST revoke` | `scope?` | take access tokens back now |
| `POST reject_all_tokens` | `on?` | issue access tokens and refuse every one |
| `POST fail_next` | `count`, `how`, `where?`, `status?`, `retry_after?`, `error?`, `html?`, `location?`, `body?`, `content_type?` | fail by name: `status`, `html`, `empty`, `malformed`, `redirect`, `answer`, `hang`, `drop`, `cut` |
| `POST fail_no_more` | | forget the failures still to come |
| `POST set_latency` | `seconds`, `where?` | answer so much later |
| `POST hold` | `where?` | keep requests waiting as they arrive |
| `POST release` | `where?` | let them go on |
| `POST forbid` | `path`, `on?` | 403 at a resource path |
| `POST always_401` | `path`, `on?` | 401 at a resource path, whatever the bearer |
| `POST set_member_refusal` | `style` | `invalid_grant`, `invalid_grant_401` or `unexplained` |

A switch answers `{"result": ...}`: how many tokens for `expire` and `revoke`, otherwise null. What it
cannot do is answered 400 and `{"problem": "..."}`.
"""  # noqa: E501 - a row of a table is one line

import inspect
import json
from collections.abc import Mapping
from typing import Final, cast
from urllib.parse import parse_qs

from attrs import asdict

from daxko_auth.sandbox.seen import Seen
from daxko_auth.sandbox.switches import Switches

PREFIX: Final = "/_sandbox/"

# Named one by one: what is not meant for strangers must not become reachable by being public.
_SWITCHES: Final = frozenset(
    {
        "clear_log",
        "set_token_life",
        "advance",
        "expire",
        "revoke",
        "reject_all_tokens",
        "fail_next",
        "fail_no_more",
        "set_latency",
        "hold",
        "release",
        "forbid",
        "always_401",
        "set_member_refusal",
    }
)


_LOOKS: Final = frozenset({"state", "log", "token_requests"})


def operate(switches: Switches, seen: Seen) -> tuple[int, Mapping[str, object]]:
    """Do what a request to `/_sandbox/...` asks; return the status and the JSON to answer."""
    name = seen.path.removeprefix(PREFIX)
    match seen.method:
        case "GET" if not name:
            return 200, {"GET": sorted(_LOOKS), "POST": sorted(_SWITCHES)}
        case "GET" if name == "state":
            return 200, switches.state()
        case "GET" if name == "log":
            return 200, {"arrivals": [asdict(arrival) for arrival in switches.log]}
        case "GET" if name == "token_requests":
            scope = parse_qs(seen.query).get("scope")
            return 200, {"token_requests": switches.token_requests(scope[0] if scope else None)}
        case "POST" if name in _SWITCHES:
            return _switch(switches, name, seen.body)
        case _:
            return 404, {
                "problem": "There is no such switch, or it wants the other of GET and POST. GET /_sandbox/ lists them."
            }


def _switch(switches: Switches, name: str, body: bytes) -> tuple[int, Mapping[str, object]]:
    try:
        options: object = json.loads(body.decode("utf-8") or "{}")
    except (ValueError, RecursionError):
        return 400, {"problem": "The body is not JSON."}
    if not isinstance(options, dict):
        return 400, {"problem": "The body is JSON, but not an object."}
    method = getattr(switches, name)
    try:
        bound = inspect.signature(method).bind(**cast("dict[str, object]", options))
        return 200, {"result": method(*bound.args, **bound.kwargs)}
    except (TypeError, ValueError) as error:
        return 400, {"problem": str(error)}
