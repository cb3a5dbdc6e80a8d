"""A process's services from its settings."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncline import faults
from syncline.config import PREFIX, Mode, Pooler, Settings, SettingsError
from syncline.faults import FaultPlan
from syncline.net.dns import DnsClient
from syncline.net.http import OutboundClient
from syncline.net.policy import AddressPolicy
from syncline.obs.logging import LogStyle, configure
from syncline.obs.metrics import Metrics
from syncline.services.container import Services
from syncline.services.environments import DEFAULT_NAME
from syncline.services.idsource import IdSource
from syncline.services.kernel import Keep, Kernel
from syncline.services.keyring import Keyring
from syncline.store.engine import open_database

KEY_FILE = "secret.key"


@asynccontextmanager
async def open_services(
    settings: Settings, *, outbound_allow: tuple[str, ...] = ()
) -> AsyncIterator[Services]:
    """Build the services of a process and release them at the end. Raises `SettingsError`."""
    policy, dns = parse_parts(settings, outbound_allow)
    faults.install(FaultPlan.parse(settings.faults) if settings.faults else None)
    previous = settings.secret_key_previous
    keyring = Keyring.from_secret(secret_key(settings), (previous.get_secret_value(),) if previous else ())
    database = open_database(
        settings.database,
        pool_size=settings.database_pool,
        pooled=settings.database_pooler is Pooler.TRANSACTION,
    )
    outbound = OutboundClient(policy)
    kernel = Kernel(
        database=database,
        clock=_now,
        random=os.urandom,
        ids=IdSource(_now, os.urandom),
        keyring=keyring,
        policy=policy,
        outbound=outbound,
        dns=dns,
        metrics=Metrics(),
        base_url=settings.public_url,
        retention=timedelta(days=settings.retention_days),
        keep=Keep(
            successes=timedelta(days=settings.attempts_days),
            failures=timedelta(days=settings.failed_attempts_days),
            deleted=timedelta(days=settings.deleted_days),
        ),
    )
    try:
        yield Services(kernel)
    finally:
        await outbound.close()
        await database.close()


def parse_parts(settings: Settings, outbound_allow: tuple[str, ...] = ()) -> tuple[AddressPolicy, DnsClient]:
    """Return what settings say in a notation of their own. Raises `SettingsError` naming the setting."""
    name = "OUTBOUND_ALLOW"
    try:
        policy = AddressPolicy((*settings.outbound_allowed, *outbound_allow))
        name = "DNS_SERVER"
        dns = DnsClient(settings.dns_server)
        name = "FAULTS"
        FaultPlan.parse(settings.faults)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name}: {error}.") from None
    return policy, dns


def configure_logging(settings: Settings) -> None:
    """Set up logging as the settings say."""
    configure(level=settings.log_level, style=LogStyle(settings.log_style))


async def ensure_default(services: Services, settings: Settings) -> None:
    """Make the environment `default` with the API key of the settings, if one is set."""
    if settings.api_key is not None:
        environment = await services.environments.ensure(DEFAULT_NAME)
        await services.api_keys.ensure(environment.id, settings.api_key.get_secret_value())


def secret_key(settings: Settings) -> str:
    """Return the key that seals secrets: the one that is set, else one made once in the data folder."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if settings.mode is Mode.PRODUCTION:
        raise SettingsError("SYNCLINE_SECRET_KEY must be set in production mode.")
    file = settings.data / KEY_FILE
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        if file.exists():
            return file.read_text(encoding="ascii").strip()
        return _made_once(file, secrets.token_urlsafe(48))
    except OSError as error:
        raise SettingsError(f"The data folder {settings.data} cannot be used: {error}.") from None


def _made_once(file: Path, text: str) -> str:
    """Make a file for this user alone and return what is in it: of several makers the first wins.

    It gets its name when it is complete, so that nobody reads half of it.
    """
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=file.parent, prefix=".") as complete:
        complete.write(text)
        complete.flush()
        try:
            os.link(complete.name, file)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
    return text


def _now() -> datetime:
    return datetime.now(UTC)
