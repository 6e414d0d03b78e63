"""
Authentication for httpx: an `httpx.Auth` that opens every endpoint of one Daxko client.

The token request itself never passes through the program's own httpx client.
"""

import httpx

from daxko_auth.adapters.auth_flow import AuthFlow


class DaxkoAuth(AuthFlow[httpx.Request, httpx.Response], httpx.Auth):
    """
    Authenticates requests to Daxko for one Daxko client, with tokens from a `TokenSource`.

    Works with `httpx.Client` and `httpx.AsyncClient`; any number of threads and tasks may share it.
    Build the source once: a source per request would ask for a token per request.

    URL, `Host`, TLS name and target are judged before the bearer is attached, and a request to the sandbox is refused
    to every proxy. The program's own request hooks run after that: one that changes a URL at Daxko takes the bearer
    along. (`Daxko.http` refuses that, too.) A transport of the program's own that makes the request again, without its
    extensions, hides its proxy: to the sandbox it then takes the bearer along.
    """

    _in_memory, _sendable, _asendable = httpx.ByteStream, httpx.SyncByteStream, httpx.AsyncByteStream
    _answer, _too_many = httpx.Response, httpx.TooManyRedirects
