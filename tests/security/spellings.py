"""Webhook addresses that lead into the network of the server, or pretend to lead out of it."""

from __future__ import annotations

_METADATA_V4 = "169.254.169.254"
_INNER_V4 = ("127.0.0.1", "10.1.2.3", "192.168.7.9", _METADATA_V4)


def _numbers(v4: str) -> list[str]:
    """Return the ways in which old parsers let an IPv4 address be written."""
    a, b, c, d = (int(part) for part in v4.split("."))
    whole = (a << 24) | (b << 16) | (c << 8) | d
    return [
        str(whole),
        hex(whole),
        f"0X{whole:08X}",
        f"0{whole:o}",
        ".".join(f"0{part:o}" for part in (a, b, c, d)),
        ".".join(hex(part) for part in (a, b, c, d)),
        f"{a}.{(b << 16) | (c << 8) | d}",
        f"{a}.{b}.{(c << 8) | d}",
        ".".join(f"{part:03d}" for part in (a, b, c, d)),
        f"{v4}.",
        str(whole + 2**32),
    ]


def _tunnels(v4: str) -> list[str]:
    """Return the IPv6 addresses that carry an IPv4 address to its end."""
    a, b, c, d = (int(part) for part in v4.split("."))
    high, low = f"{a:02x}{b:02x}", f"{c:02x}{d:02x}"
    return [
        f"::ffff:{v4}",
        f"::ffff:{high}:{low}",
        f"0:0:0:0:0:FFFF:{v4}",
        f"::{v4}",
        f"::{high}:{low}",
        f"64:ff9b::{v4}",
        f"64:ff9b:1::{v4}",
        f"64:ff9b:1:{high}:{low[:2]}:{low[2:]}00::",
        f"2002:{high}:{low}::1",
        f"2001:0:{high}:{low}::1",
        f"::ffff:0:{v4}",
    ]


HOSTS = (
    *_INNER_V4,
    *(number for v4 in _INNER_V4 for number in _numbers(v4)),
    *(f"[{tunnel}]" for v4 in _INNER_V4 for tunnel in _tunnels(v4)),
    # Ranges that look public to a library, each with its ends where they matter.
    "0.0.0.0",
    "0",
    "0x0",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "168.63.129.16",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[2001:10::1]",
    "[3fff::1]",
    "[3fff:fff:ffff::1]",
    "[5f00::1]",
    "[5f00:ffff::1]",
    # Digits and dots that are others, and digits that are encoded.
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    # Names of this machine and of what clouds call their metadata.
    "localhost",
    "LocalHost.",
    "ip6-localhost.invalid.",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
    "instance-data.ec2.internal",
    "xn--metadata.internal",
    "ⓜetadata.google.internal",
    "inner.example",
    "inner.example.",
    "xn--nner-4pa.example",
    "ïnner.example",
)
"""Hosts behind https:// that nobody outside may make the server connect to."""

RESOLVED = {
    "localhost": "127.0.0.1",
    "localhost.": "127.0.0.1",
    "ip6-localhost.invalid.": "::1",
    "metadata.google.internal": _METADATA_V4,
    "metadata.google.internal.": _METADATA_V4,
    "metadata": _METADATA_V4,
    "instance-data.ec2.internal": _METADATA_V4,
    "xn--metadata.internal": "fd00:ec2::254",
    "inner.example": "10.1.2.3",
    "inner.example.": "10.1.2.3",
    "xn--nner-4pa.example": "64:ff9b::a01:203",
    "public.example": "93.184.215.14",
}
"""What the name server of the test says; every other name does not exist."""

URLS = (
    # Whoever reads the address differently ends elsewhere.
    "https://public.example@127.0.0.1/",
    "https://127.0.0.1@public.example/",
    "https://user:password@public.example/",
    "https://public.example:443@127.0.0.1:80/",
    "https://public.example%2f@127.0.0.1/",
    "https://public.example\\@127.0.0.1/",
    "https://127.0.0.1\\@public.example/",
    "https://public.example#@127.0.0.1/\n",
    "https://@public.example/",
    "https:127.0.0.1",
    "https:/127.0.0.1/",
    "https:///127.0.0.1/",
    "//127.0.0.1/",
    "https://public.example\t/",
    "https://public.example /",
    "https://public.example\x01.inner.example/",
    "https://public.example\r\nHost: inner.example/",
    "https://[::1",
    "https://[public.example]/",
    # Ports that are none.
    "https://public.example:0/",
    "https://public.example:65536/",
    "https://public.example:-1/",
    "https://public.example:x/",
    "https://public.example:99999999999999999999/",
    # Schemes that are none of ours, and plain http, which needs the operator's word.
    "http://public.example/",
    "HTTP://PUBLIC.EXAMPLE/",
    "hTTp://127.0.0.1/",
    "ftp://public.example/",
    "file:///etc/passwd",
    "FILE://public.example/etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/",
    "ldap://127.0.0.1/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "unix:///run/docker.sock",
    "jar:https://public.example!/",
    "https+unix://public.example/",
    "",
    " ",
    "https://",
    "public.example",
)
"""Whole addresses that are refused however their host resolves."""
