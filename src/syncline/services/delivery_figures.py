"""Feed the figures about webhook endpoints; they are of all environments, so any process may measure them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from syncline.core.circuit import CircuitState
from syncline.services.kernel import Kernel
from syncline.store import delivery_figures
from syncline.store.database import Connection
from syncline.store.endpoints import EndpointState


async def measure(kernel: Kernel, now: Callable[[Connection], datetime]) -> None:
    """Measure by the database's clock. Raises `DatabaseUnavailable`."""
    found = await kernel.database.read(
        lambda connection: delivery_figures.figures(connection, now(connection))
    )
    metrics = kernel.metrics
    metrics.deliveries_parked.set(found.waiting)
    metrics.endpoint_lag_positions.set(found.lag_positions)
    metrics.endpoint_lag_seconds.set(found.lag.total_seconds())
    metrics.endpoint_parked_age_seconds.set(found.parked_age.total_seconds())
    for state in EndpointState:
        for circuit in CircuitState if state is EndpointState.ACTIVE else (CircuitState.CLOSED,):
            count = found.by_state.get((state.value, circuit.value), 0)
            metrics.endpoints.labels(state.value, circuit.value).set(count)
