"""Set what an endpoint's owner may choose, and read its row, without the API in between."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from syncline.core.endpoint_options import EndpointOptions
from syncline.core.wire import WebhookEndpoint
from syncline.store import tables as t
from tests.support.deliveries import Stage

_c = t.webhook_endpoints.c


async def choose(stage: Stage, endpoint: WebhookEndpoint, options: EndpointOptions) -> None:
    """Give an endpoint options that hold from its next turn on."""
    await set_row(stage, endpoint, settings=options.text())


async def set_row(stage: Stage, endpoint: WebhookEndpoint, **values: Any) -> None:
    """Write columns of an endpoint."""
    statement = update(t.webhook_endpoints).where(_c.id == endpoint.id).values(values)
    await stage.kernel.database.write(lambda connection: connection.execute(statement))


async def row_of(stage: Stage, endpoint: WebhookEndpoint) -> Any:
    """Return the row of an endpoint."""
    statement = select(t.webhook_endpoints).where(_c.id == endpoint.id)
    return await stage.kernel.database.read(lambda connection: connection.execute(statement).one())
