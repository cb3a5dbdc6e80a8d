"""What every event sink has in common: messages, the promise of `publish`, and how it fails.

SinkFailure       it did not work now; the same batch is published again later
└── EventRefused  this event will never be taken; the sink stops until its owner has acted
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Protocol

import msgspec

from syncline.net.policy import AddressPolicy, AddressRefused, Resolve

CONTENT_TYPE = "application/json"


class SinkFailure(Exception):
    """The batch was not acknowledged as a whole; `detail` is one sentence for the owner, without secrets."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EventRefused(SinkFailure):
    """An event that this sink can never take, whatever the time."""

    def __init__(self, message: Message, detail: str) -> None:
        super().__init__(f"{message.event_id} ({message.type}): {detail}")


class ConfigRefused(Exception):
    """A configuration that cannot work; `field` is the option's name, `reason` one sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the log: its envelope as webhooks carry it, and what routes it."""

    event_id: str
    type: str
    environment_id: str
    directory_id: str | None
    organization_id: str | None
    position: int
    recorded_at: datetime
    body: bytes

    @property
    def lane(self) -> str:
        """What must stay in order: the directory, else the organization, else the environment."""
        return self.directory_id or self.organization_id or self.environment_id


class Credentials(msgspec.Struct, frozen=True, omit_defaults=True):
    """The secret part of a sink's configuration."""

    user: str | None = None
    password: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a publisher is given: who it is, its secrets, and which addresses it may reach."""

    credentials: Credentials
    policy: AddressPolicy
    resolve: Resolve


class Publisher(Protocol):
    """One connection of one sink. After a failure it is closed and another one made."""

    async def open(self) -> None:
        """Connect. Raises `SinkFailure`."""
        ...

    def refusal(self, message: Message) -> str | None:
        """Return why this event can never be taken, as far as that is known before it is sent."""
        ...

    async def publish(self, batch: Sequence[Message]) -> None:
        """Return when every event is acknowledged, those of a lane in order.

        An event is sent only when those before it in its lane are acknowledged, or goes with them as one.
        Raises `SinkFailure`, and `EventRefused` for an event that was refused for good: any part of the
        batch may have arrived then.
        """
        ...

    async def close(self) -> None:
        """Release the connection; never raises."""
        ...


def by_lane(batch: Iterable[Message]) -> list[list[Message]]:
    """Return the lanes of a batch, each in log order."""
    lanes: dict[str, list[Message]] = {}
    for message in batch:
        lanes.setdefault(message.lane, []).append(message)
    return list(lanes.values())


async def permitted(surroundings: Surroundings, host: str, port: int, *, encrypted: bool) -> list[str]:
    """Return the addresses of a server that may be reached.

    Without TLS only addresses of the operator's allow-list are. Raises `SinkFailure` if there is none.
    """
    try:
        addresses: Sequence[str] = [str(ip_address(host))]
    except ValueError:
        addresses = await surroundings.resolve(host, port)
    if not addresses:
        raise SinkFailure(f"The host name {host} does not resolve.")
    refusals = [_refusal(surroundings.policy, address, port, encrypted) for address in addresses]
    allowed = [one for one, refusal in zip(addresses, refusals, strict=True) if refusal is None]
    if not allowed:
        raise SinkFailure(next(refusal for refusal in refusals if refusal is not None))
    return allowed


def split_address(field: str, text: str, default_port: int) -> tuple[str, int]:
    """Return host and port of `host`, `host:port` or `[IPv6]:port`. Raises `ConfigRefused`."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ConfigRefused(field, f"'{text}' is not a host and a port.")
        port_text = rest.removeprefix(":")
    else:
        host, _, port_text = text.partition(":")
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else default_port
    is_odd = bool(port_text) and not (port_text.isascii() and port_text.isdigit())
    if not host or is_odd or not 1 <= port <= 65535 or any(char in host for char in " /@?#\\"):
        raise ConfigRefused(field, f"'{text}' is not a host and a port.")
    return host, port


def tls_context(ca: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificates, against `ca` (PEM) if given.

    Raises `ConfigRefused` for a text that holds no certificate.
    """
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise ConfigRefused("ca_file", "The file holds no PEM certificate.") from None


def _refusal(policy: AddressPolicy, address: str, port: int, encrypted: bool) -> str | None:
    try:
        policy.check(address, port)
    except AddressRefused as refusal:
        return refusal.reason
    if not encrypted and not policy.allows(address, port):
        return f"Without TLS only addresses on the allow-list may be reached, not {address}."
    return None
