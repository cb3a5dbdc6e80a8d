"""`syncline doctor`: looks at everything a process needs and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from syncline.cli.compose import open_services, secret_key
from syncline.config import Mode, Settings, SettingsError
from syncline.net.dns import DnsFailure
from syncline.store.database import DatabaseUnavailable
from syncline.store.engine import database_now, describe_error
from syncline.store.migrate import current_revision, head_revision

_SKEW_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, and what to do if not."""

    name: str
    ok: bool
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check, in order of what depends on what."""
    yield Finding("configuration", True, f"mode {settings.mode.value}, public address {settings.public_url}")
    yield _key(settings)
    schema = _schema(settings)
    yield schema
    if schema.ok:
        yield from asyncio.run(_inside(settings))


def _key(settings: Settings) -> Finding:
    try:
        secret_key(settings)
    except SettingsError as error:
        return Finding("secret key", False, str(error))
    if settings.secret_key is None:
        return Finding(
            "secret key", True, f"generated in {settings.data}; set SYNCLINE_SECRET_KEY in production"
        )
    return Finding("secret key", True, "set")


def _schema(settings: Settings) -> Finding:
    try:
        revision = current_revision(settings.database)
    except Exception as error:
        text = f"{describe_error(error)}. Check SYNCLINE_DATABASE_URL and that the server is up."
        return Finding("database", False, text)
    if revision != head_revision():
        return Finding("database", False, f"schema {revision or 'empty'}: run `syncline migrate`.")
    return Finding("database", True, f"schema {revision}")


async def _inside(settings: Settings) -> list[Finding]:
    findings = []
    try:
        async with open_services(settings) as services:
            now = await services.kernel.database.read(database_now)
            skew = abs((datetime.now(UTC) - now).total_seconds())
            text = f"{skew:.1f} s from the database's"
            advice = "" if skew < _SKEW_SECONDS else "; synchronize the clocks (NTP)"
            findings.append(Finding("clock", skew < _SKEW_SECONDS, text + advice))
            try:
                await services.kernel.dns.txt("example.com")
                findings.append(Finding("name server", True, "answers"))
            except DnsFailure as failure:
                advice = "Domain verification needs a name server: check the network or SYNCLINE_DNS_SERVER."
                findings.append(
                    Finding("name server", settings.mode is not Mode.PRODUCTION, f"{failure} {advice}")
                )
            problems = await services.health.problems()
            findings.append(Finding("health", not problems, "; ".join(problems.values()) or "ready"))
    except (SettingsError, DatabaseUnavailable) as error:
        findings.append(Finding("services", False, str(error)))
    return findings
