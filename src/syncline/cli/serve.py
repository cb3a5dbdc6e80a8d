"""Run a process until it is told to stop: web, workers, or both."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import uvicorn
import uvloop

from syncline.cli import collector
from syncline.cli.compose import configure_logging, ensure_default, open_services, parse_parts
from syncline.cli.listener import leave, listen
from syncline.config import Settings, SettingsError
from syncline.obs.logging import get_logger
from syncline.services.container import Services
from syncline.store.migrate import upgrade
from syncline.web.app import build_app
from syncline.web.connections import ConnectionGuard, ConnectionLimits
from syncline.web.rates import Rate, Rates
from syncline.workers.runner import run_workers

Companion = Callable[[Services, asyncio.Event], Awaitable[None]]
_DRAIN_SECONDS = 5
_IDLE_SECONDS = 75
# Files that are no connections of clients: the database, webhooks, logs.
_OTHER_FILES = 400
_logger = get_logger(__name__)


def run(
    settings: Settings,
    *,
    web: bool,
    workers: bool,
    migrate: bool,
    companion: Companion | None = None,
    outbound_allow: tuple[str, ...] = (),
) -> None:
    """Run until SIGTERM or SIGINT. `companion` runs beside the process (the demonstration)."""
    configure_logging(settings)
    # Everything that can be wrong with the settings is said before anything is touched.
    parse_parts(settings, outbound_allow)
    if migrate:
        upgrade(settings.database)
    collector.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, web, workers, companion, outbound_allow))


async def _run(
    settings: Settings, web: bool, workers: bool, companion: Companion | None, outbound_allow: tuple[str, ...]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    port = settings.port if web else settings.worker_port
    listener = None if port is None else _listen(settings.host, port)
    async with open_services(settings, outbound_allow=outbound_allow) as services:
        await ensure_default(services, settings)
        await services.writer.start()
        tasks = []
        # Workers outlive the web so that what the last requests changed is sealed.
        workers_stop = asyncio.Event()
        if workers:
            tasks.append(asyncio.create_task(run_workers(services, workers_stop), name="workers"))
        if companion is not None:
            tasks.append(asyncio.create_task(_accompany(companion, services, stop), name="companion"))
        if listener is not None:
            await _serve(services, settings, listener, stop, calls=web)
        else:
            await stop.wait()
        await services.close()
        workers_stop.set()
        await asyncio.gather(*tasks)
    _logger.info("stopped")


async def _accompany(companion: Companion, services: Services, stop: asyncio.Event) -> None:
    try:
        await companion(services, stop)
    except Exception:
        _logger.exception("companion.failed")
        stop.set()


async def _serve(
    services: Services, settings: Settings, listener: socket.socket, stop: asyncio.Event, *, calls: bool
) -> None:
    token = settings.metrics_token
    overloads = services.kernel.metrics.overloads
    guard = ConnectionGuard(
        ConnectionLimits(
            most=_room(settings.max_connections), head=settings.head_seconds, idle=_IDLE_SECONDS
        ),
        lambda reason: overloads.labels(reason).inc(),
    )
    config = uvicorn.Config(
        build_app(
            services,
            metrics_token=token.get_secret_value() if token else None,
            calls=calls,
            rates=_rates(settings),
        ),
        http=guard.protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    server = uvicorn.Server(config)
    # Signals are ours: one handler stops everything in order.
    server.capture_signals = nullcontext  # type: ignore[assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    address = settings.public_url if calls else f"http://{settings.host}:{settings.worker_port}"
    _logger.info("listening", address=address)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await leave(listener)
    server.should_exit = True
    await serving
    stopping.cancel()


def _room(wanted: int) -> int:
    """Return how many connections the process may take, after asking for as many files as that needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = wanted if soft == resource.RLIM_INFINITY else min(wanted, max(soft - _OTHER_FILES, soft // 2))
    if room < wanted:
        _logger.warning("connections.limited", wanted=wanted, room=room, open_files=soft)
    return room


def _rates(settings: Settings) -> Rates:
    return Rates(
        scim=Rate(settings.scim_rate),
        api_key=Rate(settings.api_rate),
        address=Rate(settings.address_rate),
        directory_users=Rate(settings.directory_users_rate),
        organization_deletions=Rate(settings.organization_deletions_rate),
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Set SYNCLINE_HOST and SYNCLINE_PORT (or SYNCLINE_WORKER_PORT), or stop what listens there."
        ) from None
