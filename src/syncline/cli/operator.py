"""What the commands of an operator share, which work on the database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from syncline.config import load_settings

if TYPE_CHECKING:
    from syncline.services.container import Services

# Every command loads this module, so what needs the database is imported where it is used.
T = TypeVar("T")


def on_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """Bring the database up to date and return what the work on the services returns."""
    from syncline.cli.compose import configure_logging, open_services
    from syncline.store.migrate import upgrade

    settings = load_settings()
    # Standard output is for the result; the log of a command that works says nothing more than that.
    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    upgrade(settings.database)

    async def run() -> T:
        async with open_services(settings) as services:
            return await work(services)

    return asyncio.run(run())


async def environment_id(services: Services, name: str) -> str:
    """Return the id of the environment of that name. Raises `NotFound`."""
    from syncline.core.errors import NotFound

    found = await services.environments.named(name)
    if found is None:
        raise NotFound("Environment", name)
    return found.id
