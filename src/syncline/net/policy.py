"""Which addresses Syncline may connect to: public ones, and those an operator has allowed.

Customers choose webhook addresses, so every address is checked twice: by `check_url` when an endpoint is
made, for a clear error, and at connect time with the address that the name resolved to, for protection.
`ipaddress.is_global` alone misses ranges (`events-webhooks.md` §6), hence the explicit tables.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host name and port; empty while the name does not resolve."""

MAX_URL_LENGTH = 2048

_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Only 2000::/3 is global unicast; these parts of it are not, Teredo (in the first) and 6to4 included.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# Where clouds answer with credentials; some of these look public.
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")

_NEVER_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_USER_INFO = re.compile(r"[^/?#]*//[^/?#]*@")
_BRACKET = re.compile(r"[^/?#]*//\[")
_HOST_NAME = re.compile(r"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMERIC_LAST_LABEL = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_ALLOWED = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\](?P<bits>/[0-9]+)?|(?P<plain>[^\[\]]+?))(?::(?P<port>[0-9]{1,5}))?"
)


class AddressRefused(Exception):
    """An address or URL that Syncline does not connect to; `reason` is one sentence for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Allowed:
    """A network that the operator has allowed, on one port or on all."""

    network: Network
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read `10.0.0.0/8`, `127.0.0.1:8080`, `fd00::/8` or `[fd00::/8]:443`; `ValueError` otherwise."""
        text = text.strip()
        try:
            # IPv6 without brackets has colons of its own and therefore no port.
            return cls(ip_network(text), None)
        except ValueError:
            match = _ALLOWED.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is no address, network or network with a port")
        port = int(match["port"]) if match["port"] else None
        if port is not None and not 1 <= port <= 65535:
            raise ValueError(f"'{text}' names no possible port")
        return cls(ip_network((match["v6"] or match["plain"]) + (match["bits"] or "")), port)

    def covers(self, address: Address, port: int) -> bool:
        """Tell whether the entry is about this address and port."""
        return self.port in (None, port) and address in self.network

    @property
    def is_single(self) -> bool:
        """Tell whether the entry names one address."""
        return self.network.num_addresses == 1


class AddressPolicy:
    """Refuses every address that is not public, except those of the operator's allow-list."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """Take networks as `CIDR[:port]`; raises `ValueError` for one that cannot be read."""
        self._allow = tuple(Allowed.parse(text) for text in allow)

    def allows(self, ip: str, port: int) -> bool:
        """Tell whether the operator's list covers the address, also in an IPv6 form of an allowed IPv4."""
        address = _parse(ip)
        return address is not None and self._is_listed(address, port)

    def check(self, ip: str, port: int) -> None:
        """Raise `AddressRefused` unless a connection to this address and port is permitted."""
        address = _parse(ip)
        if address is None:
            raise AddressRefused("This is not an IP address.")
        if self._is_listed(address, port):
            return
        reached = _reached_v4(address) or address
        if reached in _METADATA:
            raise AddressRefused(f"{address} is a cloud metadata address.")
        if not _is_public(reached):
            raise AddressRefused(f"{address} is not a public address.")

    def check_plain(self, ip: str, port: int) -> None:
        """Raise `AddressRefused` unless the operator's list covers the address: no plain http elsewhere."""
        if not self.allows(ip, port):
            raise AddressRefused(f"Plain http is only allowed to addresses on the allow-list, not to {ip}.")

    async def check_url(self, url: str, *, resolve: Resolve) -> None:
        """Raise `AddressRefused` for a URL that no delivery could ever use.

        https is required; plain http passes only where an address on the allow-list is meant. A name that
        does not resolve yet is accepted for https: it is checked again at each connection.
        """
        parsed = parse_url(url)
        host, port = parsed.raw_host or "", parsed.port or 0
        check = self.check if parsed.scheme == "https" else self.check_plain
        addresses = [host] if _parse(host) is not None else await resolve(host, port)
        if not addresses and parsed.scheme != "https":
            raise AddressRefused("Plain http needs a name that resolves to an address on the allow-list.")
        refusals: list[AddressRefused] = []
        for address in addresses:
            try:
                check(address, port)
            except AddressRefused as refusal:
                refusals.append(refusal)
        if refusals and len(refusals) == len(addresses):
            raise refusals[0]

    def _is_listed(self, address: Address, port: int) -> bool:
        reached = _reached_v4(address) or address
        # A network never brings a metadata address with it: that one must be named alone.
        entries = [entry for entry in self._allow if entry.is_single or reached not in _METADATA]
        return any(entry.covers(address, port) or entry.covers(reached, port) for entry in entries)


def parse_url(url: str) -> URL:
    """Return the parts of a webhook address as the HTTP client will read them.

    Raises `AddressRefused` for what is not an absolute http or https URL with an ordinary host: user and
    password, white space and control characters, backslashes, IPv4 in any but the usual spelling.
    """
    if not 0 < len(url) <= MAX_URL_LENGTH or _NEVER_IN_URL.search(url):
        raise AddressRefused("The URL is empty, too long, or has a space, backslash or control character.")
    try:
        parsed = URL(url)
        host, port = parsed.raw_host, parsed.port
    except (ValueError, UnicodeError, IndexError):
        # yarl raises the last for `//[]@`.
        raise AddressRefused("The URL cannot be read.") from None
    if parsed.scheme not in {"http", "https"} or not host or not port:
        raise AddressRefused("The URL must be absolute and begin with https://.")
    if _USER_INFO.match(url):
        raise AddressRefused("The URL must not contain a user name or a password.")
    if _parse(host) is None:
        if _HOST_NAME.fullmatch(host) is None or _BRACKET.match(url):
            raise AddressRefused("The URL has no valid host name.")
        if _NUMERIC_LAST_LABEL.fullmatch(host):
            raise AddressRefused("An IPv4 address must be written as four decimal numbers.")
    return parsed


def _parse(ip: str) -> Address | None:
    """Return the address without its zone, `None` if the text is none in its usual spelling."""
    try:
        return ip_address(ip.partition("%")[0])
    except ValueError:
        return None


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


def _reached_v4(address: Address) -> IPv4Address | None:
    """Return the IPv4 address at which a connection to a mapped or NAT64 address ends (RFC 4291, RFC 6052).

    Other forms that contain an IPv4 address stay IPv6 addresses, none of which is public: 6to4 and Teredo
    pass through relays of strangers, and in 64:ff9b:1::/48 the place of the IPv4 address varies.
    """
    if not isinstance(address, IPv6Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
