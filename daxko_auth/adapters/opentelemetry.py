"""
What happens to tokens, for OpenTelemetry: metrics, and a span for each token request.

Nothing here holds a secret. Metrics know no scope, because each would be a time series of its own; spans do.
"""

import re
from typing import Final, final

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer

from daxko_auth.model.events import Event, RenewalFailed, StoreFailed, TokenRequested
from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT

_NAME: Final = "daxko_auth"
# Seconds: the boundaries that OpenTelemetry recommends for HTTP requests, up to the longest that ours take.
_BOUNDARIES: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


@final
class OpenTelemetryEvents:
    """
    Records the events of a `TokenSource`; pass it as `on_event`.

    Metrics: `daxko_auth.token_request.duration`, a histogram in seconds, and `daxko_auth.events`, a count of every
    event by `daxko_auth.event`, such as `stale_token_served`. Both have `error.type` where something failed. Spans:
    `daxko_auth token request`, a client span for each token request, with scope, attempt and status.
    """

    def __init__(
        self, *, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
    ) -> None:
        """
        Prepare the instruments.

        Args:
            meter_provider: who takes the metrics; by default, the global one.
            tracer_provider: who takes the spans; by default, the global one.
        """
        meter = get_meter(_NAME, meter_provider=meter_provider)
        self._seconds = meter.create_histogram(
            "daxko_auth.token_request.duration",
            unit="s",
            description="How long token requests take",
            explicit_bucket_boundaries_advisory=_BOUNDARIES,
        )
        self._count = meter.create_counter(
            "daxko_auth.events", unit="{event}", description="What happens to access tokens"
        )
        self._tracer = get_tracer(_NAME, tracer_provider=tracer_provider)

    def __call__(self, event: Event) -> None:
        """Record `event`."""
        failed = _error_type(event)
        self._count.add(1, {"daxko_auth.event": _CAPITAL.sub("_", type(event).__name__).lower(), **failed})
        if isinstance(event, TokenRequested):
            self._seconds.record(event.seconds, failed)
            self._trace(event, failed)

    def _trace(self, event: TokenRequested, failed: dict[str, str]) -> None:
        error = event.error
        span = self._tracer.start_span(
            "daxko_auth token request",
            kind=SpanKind.CLIENT,
            start_time=_nanoseconds(event.sent_at),
            attributes={
                "http.request.method": "POST",
                "url.path": PARTNER_TOKEN_ENDPOINT.path,
                "daxko_auth.scope": event.scope.wire,
                "daxko_auth.attempt": event.attempt,
                **failed,
            },
        )
        if error is not None:
            if error.status_code is not None:
                span.set_attribute("http.response.status_code", error.status_code)
            span.set_status(Status(StatusCode.ERROR, str(error)))
        span.end(_nanoseconds(event.sent_at + event.seconds))


def _error_type(event: Event) -> dict[str, str]:
    match event:
        case StoreFailed(error=kind):
            return {"error.type": kind}
        case TokenRequested(error=error) | RenewalFailed(error=error) if error is not None:
            return {"error.type": type(error).__name__}
        case _:
            return {}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
