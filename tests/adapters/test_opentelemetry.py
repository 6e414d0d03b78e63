"""What an operator sees in OpenTelemetry: the metrics and spans that the documentation names, and no secret."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support import FakeClock, finish_renewals

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    MemoryStore,
    OpenTelemetryEvents,
    TokenKey,
    TokenRefused,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox

DAY = 86_400


class Observed:
    """A meter and a tracer that remember."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._exporter = InMemorySpanExporter()
        self._meters = MeterProvider([self._reader])
        self._tracers = TracerProvider(shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.events = OpenTelemetryEvents(meter_provider=self._meters, tracer_provider=self._tracers)

    def end(self) -> None:
        """Stop."""
        self._meters.shutdown()
        self._tracers.shutdown()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """What was traced."""
        return self._exporter.get_finished_spans()

    def points(self, metric: str) -> list[tuple[dict[str, object], NumberDataPoint | HistogramDataPoint]]:
        """Return what a metric counted, with its attributes."""
        data = self._reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        assert scope.scope.name == "daxko_auth"
        (found,) = (one for one in scope.metrics if one.name == metric)
        return [(dict(point.attributes or {}), point) for point in found.data.data_points]  # type: ignore[misc]

    def counts(self) -> dict[tuple[object, ...], int | float]:
        """Return how often each event was counted."""
        return {
            tuple(attributes.values()): point.value
            for attributes, point in self.points("daxko_auth.events")
            if isinstance(point, NumberDataPoint)
        }


@pytest.fixture
def observed() -> Iterator[Observed]:
    """Give an observer, and stop it."""
    observed = Observed()
    yield observed
    observed.end()


def test_every_event_is_counted_by_its_name_and_its_error(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, observed: Observed
) -> None:
    """What a dashboard needs: how often tokens are asked for, served stale, refused."""
    with TokenSource(credentials, sandbox.base_url, on_event=observed.events, clock=clock) as source:
        token = source.token(9999)
        finish_renewals(source)
        clock.pass_time(DAY * 0.76)
        sandbox.fail_next(1, "status", status=400, error="invalid_client")
        assert source.token(9999) == token
        finish_renewals(source)
        source.replacement_refused(token)

    assert observed.counts() == {
        ("renewal_joined",): 1,
        ("token_requested",): 1,
        ("token_renewed",): 1,
        ("stale_token_served",): 1,
        ("token_requested", "TokenRefused"): 1,
        ("renewal_failed", "TokenRefused"): 1,
        ("replacement_refused",): 1,
        ("token_rejected",): 1,
    }


class _StoreThatIsDown(MemoryStore):
    def read(self, key: TokenKey) -> AccessToken | None:
        raise OSError(key.scope)


def test_a_store_that_fails_is_counted_by_the_kind_of_its_error(
    sandbox: Sandbox, credentials: ApiCredentials, observed: Observed
) -> None:
    """Tokens go on, so only a metric shows that nothing is shared any more."""
    with TokenSource(credentials, sandbox.base_url, on_event=observed.events, store=_StoreThatIsDown()) as source:
        source.token(9999)
        finish_renewals(source)

    assert observed.counts()["store_failed", "OSError"] == 1


def test_token_requests_are_timed_in_buckets_of_seconds(
    sandbox: Sandbox, credentials: ApiCredentials, observed: Observed
) -> None:
    """The default buckets are for milliseconds: every token request would be in the first."""
    sandbox.fail_next(1, "status", status=400, error="invalid_client")
    with TokenSource(credentials, sandbox.base_url, on_event=observed.events) as source:
        with pytest.raises(TokenRefused):
            source.token(9999)
        finish_renewals(source)

    ((attributes, point),) = observed.points("daxko_auth.token_request.duration")
    assert isinstance(point, HistogramDataPoint)
    assert attributes == {"error.type": "TokenRefused"}
    assert (point.count, point.explicit_bounds[0], point.explicit_bounds[-1]) == (1, 0.005, 10)
    assert 0 < point.sum < 10


def test_each_token_request_is_a_client_span_from_when_it_was_sent(
    sandbox: Sandbox, credentials: ApiCredentials, clock: FakeClock, observed: Observed
) -> None:
    """A call that waited is explained by what it waited for; a failure by the error that its caller got."""
    sandbox.fail_next(1, "status", status=503)
    with TokenSource(credentials, sandbox.base_url, on_event=observed.events, clock=clock) as source:
        sent_at = clock.wall()
        token = source.token(9999)
        finish_renewals(source)

    failed, granted = observed.spans
    assert (failed.name, failed.kind, failed.parent) == ("daxko_auth token request", SpanKind.CLIENT, None)
    assert failed.start_time == failed.end_time == round(sent_at * 1e9)
    assert dict(failed.attributes or {}) == {
        "http.request.method": "POST",
        "url.path": "/v3/partners/oauth2/token",
        "daxko_auth.scope": "client:9999",
        "daxko_auth.attempt": 1,
        "error.type": "TokenEndpointUnavailable",
        "http.response.status_code": 503,
    }
    assert failed.status.status_code is StatusCode.ERROR
    assert "answered 503" in str(failed.status.description)
    assert (granted.attributes or {})["daxko_auth.attempt"] == 2
    assert granted.status.status_code is StatusCode.UNSET
    assert token.reveal() not in "".join(span.to_json() for span in observed.spans)


def test_a_request_without_an_answer_has_no_status(
    credentials: ApiCredentials, clock: FakeClock, observed: Observed
) -> None:
    """A status that was never sent would be looked for in the vendor's logs."""
    with TokenSource(credentials, "http://127.0.0.1:1", on_event=observed.events, clock=clock) as source:
        source.warm([9999])
        finish_renewals(source)

    assert observed.spans
    assert all("http.response.status_code" not in (span.attributes or {}) for span in observed.spans)
