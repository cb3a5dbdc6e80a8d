"""Secrets as a thief would look for them: plain, in hex and in base64, whole or without their prefix."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

_PREFIX = re.compile(r"(?:sk_(?:test_|live_)?|scim_|whsec_)")


def found_in(haystacks: Mapping[str, bytes], secrets: Iterable[str]) -> list[str]:
    """Return where which secret stands, in any of its forms; empty if nowhere."""
    return [
        f"{secret} as {form} in {place}"
        for secret in secrets
        for form, needle in forms_of(secret).items()
        for place, haystack in haystacks.items()
        if needle in haystack
    ]


def forms_of(secret: str) -> dict[str, bytes]:
    """Return the bytes by which a secret, its random part or what that stands for would be recognized."""
    found: dict[str, bytes] = {}
    for name, core in _cores(secret).items():
        found[name] = core
        found[f"{name}, hex"] = core.hex().encode()
        found[f"{name}, HEX"] = core.hex().upper().encode()
        for shift in range(3):
            found[f"{name}, base64 at {shift}"] = _in_base64(core, shift)
            found[f"{name}, base64url at {shift}"] = _in_base64(core, shift).translate(_TO_URL)
    return found


def _cores(secret: str) -> dict[str, bytes]:
    random = _PREFIX.sub("", secret, count=1)
    cores = {"itself": secret.encode(), "its random part": random.encode()}
    try:
        text = random.replace("-", "+").replace("_", "/")
        cores["its bytes"] = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        pass
    assert all(len(core) >= 12 for core in cores.values()), f"too short to be looked for: {secret}"
    return cores


_TO_URL = bytes.maketrans(b"+/", b"-_")


def _in_base64(core: bytes, shift: int) -> bytes:
    """Return what base64 makes of the bytes inside a longer text, without what its neighbours decide."""
    encoded = base64.b64encode(b"\0" * shift + core)
    return encoded[(0, 2, 3)[shift] : len(encoded) - (4 if (shift + len(core)) % 3 else 0)]
