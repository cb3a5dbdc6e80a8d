"""A whole Syncline on a loopback port, in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import uvicorn

from syncline.core.model import Cause, InactiveUsers
from syncline.services.container import Services
from syncline.services.organizations import OrganizationChanges
from syncline.web.app import build_app
from syncline.workers.runner import run_workers
from tests.support.kernels import kernel

T = TypeVar("T")
CAUSE = Cause("request_test")


def eventually(predicate: Callable[[], bool], reason: str, deadline: float = 10.0) -> None:
    """Wait until something outside this thread is so; a failure names what was awaited."""
    ends = time.monotonic() + deadline
    while not predicate():
        assert time.monotonic() < ends, f"waited in vain: {reason}"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Tenant:
    """An environment with an API key, an organization and a SCIM directory."""

    environment_id: str
    api_key: str
    organization_id: str
    directory_id: str
    scim_token: str

    @property
    def directory_key(self) -> str:
        """The directory's id as SCIM addresses carry it."""
        return self.directory_id.removeprefix("directory_")


@dataclass(frozen=True, slots=True)
class Live:
    """The running service, seen from the outside, and a way to call its services directly."""

    url: str
    services: Services
    loop: asyncio.AbstractEventLoop

    def run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Run something in the service's own loop."""

        async def call() -> T:
            return await work(self.services)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(60)

    def tenant(self, name: str, inactive_users: InactiveUsers = InactiveUsers.DELETE) -> Tenant:
        """Make an environment of that name with everything in it."""

        async def make(services: Services) -> Tenant:
            environment = await services.environments.create(name, inactive_users)
            key = await services.api_keys.create(environment.id, "tests")
            organization = await services.organizations.create(
                environment.id, OrganizationChanges(name="Northwind"), CAUSE
            )
            made = await services.directories.create(
                environment.id, organization.id, "Northwind", "generic scim v2.0", CAUSE
            )
            assert made.bearer_token is not None
            return Tenant(environment.id, key.value, organization.id, made.directory.id, made.bearer_token)

        return self.run(make)


@contextmanager
def serving(database_url: str, *, dns_server: str | None = None) -> Iterator[Live]:
    """Serve web and workers until the block ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready: list[Live] = []
    started = threading.Event()
    failure: list[BaseException] = []
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        async with kernel(database_url, base_url=url, dns_server=dns_server) as parts:
            services = Services(parts)
            await services.writer.start()
            workers_stop = asyncio.Event()
            workers = asyncio.create_task(run_workers(services, workers_stop))
            config = uvicorn.Config(
                build_app(services), lifespan="off", log_config=None, access_log=False, ws="none"
            )
            server = uvicorn.Server(config)
            server.capture_signals = nullcontext  # type: ignore[assignment]
            web = asyncio.create_task(server.serve(sockets=[listener]))
            loop = asyncio.get_running_loop()
            stopping.append((loop, stop))
            ready.append(Live(url, services, loop))
            started.set()
            await stop.wait()
            server.should_exit = True
            await web
            await services.close()
            workers_stop.set()
            await workers

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failure.append(error)
            started.set()

    thread = threading.Thread(target=run, name="live server", daemon=True)
    thread.start()
    started.wait(30)
    if failure:
        raise failure[0]
    try:
        yield ready[0]
    finally:
        loop, stop = stopping[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
    if failure:
        raise failure[0]
