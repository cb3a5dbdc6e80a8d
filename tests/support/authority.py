"""One authority for all the HTTPS clients of the tests, which call nobody outside of this machine.

Whoever makes a client, or imports aiohttp, reads every certificate that the system trusts: that took longer
than ten of a test's requests. Tests of certificates bring an authority of their own.
"""

from __future__ import annotations

import os
from pathlib import Path

import certifi

_END = "-----END CERTIFICATE-----\n"


def one_authority(folder: Path) -> Path:
    """Return a file in `folder` with a single certificate, for `SSL_CERT_FILE`."""
    path = folder / "authority.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        first = Path(certifi.where()).read_text(encoding="utf-8").partition(_END)
        # Complete before it has its name: several test processes may do this at once.
        unfinished = folder / f"authority-{os.getpid()}.new"
        unfinished.write_text(first[0] + first[1], encoding="utf-8")
        unfinished.rename(path)
    return path
