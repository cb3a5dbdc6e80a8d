"""The figures that operators watch, in Prometheus' text format.

Labels never carry ids of tenants or people: their number must not grow with the number of customers.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_LAG_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
_DELIVERY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._add_requests()
        self._add_log()
        self._add_deliveries()
        self._add_sinks()
        self._add_process()

    def render(self) -> bytes:
        """Return the answer of the metrics address; its media type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _add_requests(self) -> None:
        self.requests = Counter(
            "syncline_requests",
            "Requests answered, by surface (scim, api, portal, dashboard), method and status.",
            ["surface", "method", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "syncline_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ["surface"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.requests_in_flight = Gauge(
            "syncline_requests_in_flight",
            "Requests being answered right now.",
            ["surface"],
            registry=self.registry,
        )
        self.quirks = Counter(
            "syncline_quirks",
            "Leniencies applied to what providers send, by quirk id.",
            ["quirk"],
            registry=self.registry,
        )

    def _add_log(self) -> None:
        self.log_gap = Gauge(
            "syncline_log_gap",
            "Positions missing in the event log over all environments; anything but 0 is an alarm.",
            registry=self.registry,
        )
        self.inbox_age_seconds = Gauge(
            "syncline_inbox_age_seconds",
            "Age of the oldest event that is not sealed yet; alert above 5.",
            registry=self.registry,
        )
        self.inbox_rows = Gauge(
            "syncline_inbox_rows", "Events that are not sealed yet.", registry=self.registry
        )
        self.events_sealed = Counter(
            "syncline_events_sealed", "Events that got their position in the log.", registry=self.registry
        )
        self.seal_lag_seconds = Histogram(
            "syncline_seal_lag_seconds",
            "Time from recording an event to sealing it.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.seal_batch = Histogram(
            "syncline_seal_batch",
            "Events sealed in one transaction.",
            buckets=_BATCH_SIZES,
            registry=self.registry,
        )

    def _add_deliveries(self) -> None:
        self.deliveries = Counter(
            "syncline_deliveries",
            "Webhook attempts, by outcome (success, failed, timeout, busy, gone).",
            ["outcome"],
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "syncline_delivery_seconds",
            "Time that one webhook attempt took.",
            buckets=_DELIVERY_SECONDS,
            registry=self.registry,
        )
        self.delivery_lag_seconds = Histogram(
            "syncline_delivery_lag_seconds",
            "Time from recording an event to its first successful delivery.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.deliveries_in_flight = Gauge(
            "syncline_deliveries_in_flight", "Webhook attempts under way right now.", registry=self.registry
        )
        self.deliveries_parked = Gauge(
            "syncline_deliveries_parked", "Deliveries waiting for another attempt.", registry=self.registry
        )
        self.deliveries_dead = Counter(
            "syncline_deliveries_dead", "Deliveries given up after 72 hours.", registry=self.registry
        )
        self.endpoints = Gauge(
            "syncline_endpoints",
            "Webhook endpoints by state, and by circuit (closed, open, probing) while active.",
            ["state", "circuit"],
            registry=self.registry,
        )
        self.endpoint_lag_positions = Gauge(
            "syncline_endpoint_lag_positions",
            "Events of the log that the active webhook endpoint furthest behind has not settled yet.",
            registry=self.registry,
        )
        self.endpoint_lag_seconds = Gauge(
            "syncline_endpoint_lag_seconds",
            "Age of the oldest event that an active webhook endpoint has not settled yet.",
            registry=self.registry,
        )
        self.endpoint_parked_age_seconds = Gauge(
            "syncline_endpoint_parked_age_seconds",
            "Time since the first attempt of the delivery that has been waiting for longest.",
            registry=self.registry,
        )
        self.sweep_found = Counter(
            "syncline_sweep_found",
            "Endpoints found asleep behind the head of the log; anything but 0 is an alarm.",
            registry=self.registry,
        )
        self.leases_lost = Counter(
            "syncline_leases_lost",
            "Results thrown away because another process had taken over.",
            registry=self.registry,
        )

    def _add_sinks(self) -> None:
        self.sinks = Gauge(
            "syncline_sinks",
            "Event sinks, by kind (nats, kafka, ndjson) and state; alert on stopped ones.",
            ["kind", "state"],
            registry=self.registry,
        )
        self.sink_behind = Gauge(
            "syncline_sink_behind",
            "Events of the log that the active sink furthest behind has not got yet.",
            registry=self.registry,
        )
        self.sink_events = Counter(
            "syncline_sink_events", "Events that a sink acknowledged.", ["kind"], registry=self.registry
        )
        self.sink_failures = Counter(
            "syncline_sink_failures",
            "Turns of sinks that ended with a failure or stopped the sink.",
            ["kind"],
            registry=self.registry,
        )
        self.sink_publish_seconds = Histogram(
            "syncline_sink_publish_seconds",
            "Time that publishing one batch took until it was acknowledged or failed.",
            ["kind"],
            buckets=_DELIVERY_SECONDS,
            registry=self.registry,
        )
        self.sink_lag_seconds = Histogram(
            "syncline_sink_lag_seconds",
            "Time from recording the first event of a batch to the acknowledgement of the batch.",
            ["kind"],
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )

    def _add_process(self) -> None:
        self.loop_errors = Counter(
            "syncline_loop_errors",
            "Unexpected errors at the top of a worker's loop, after which it backs off.",
            ["loop"],
            registry=self.registry,
        )
        self.overloads = Counter(
            "syncline_overloads",
            "Requests refused because a limit was reached, by reason.",
            ["reason"],
            registry=self.registry,
        )
