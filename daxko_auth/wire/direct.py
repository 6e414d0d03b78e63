"""
Sees to it that a bearer over plain http goes straight to its origin.

httpcore tells of each step of a request (the `trace` extension), whatever a proxy was set with: the environment,
`proxy=`, `mounts=` or a transport.
"""

from collections.abc import Callable, Mapping
from typing import Any

from daxko_auth.model.origin import Origin


def require_direct(origin: Origin, step: str, info: Mapping[str, Any], refuse_proxy: Callable[[], object]) -> None:
    """
    Refuse a step by which a bearer would reach a proxy, or another server than `origin`. `refuse_proxy` raises.

    Raises:
        UntrustedOriginError: naming the other server; nothing was sent.
    """
    if step.startswith("socks."):
        refuse_proxy()
    if step.endswith(".send_request_headers.started"):
        sent = info["request"]
        if any(name.lower() == b"authorization" for name, _ in sent.headers):
            # A proxy is sent a whole URL; a path goes to where a hook of the program, or a redirect, led.
            if not sent.url.target.startswith(b"/"):
                refuse_proxy()
            origin.require(_ConnectedTo(sent.url))


class _ConnectedTo:
    """A URL of httpcore, as the origin takes it."""

    def __init__(self, url: Any) -> None:  # noqa: ANN401 - a URL of httpcore, or of httpcore2
        host, port = url.host, url.port
        self.scheme = url.scheme.decode("ascii")
        self.netloc = (b"[%b]" if b":" in host else b"%b") % host + (b"" if port is None else b":%d" % port)
