"""Signatures of webhooks in both header families: WorkOS (`api.md` §5) and Standard Webhooks 1.0.

A secret is one text, `whsec_` and base64. The WorkOS family keys its HMAC with that whole text, Standard
Webhooks with the decoded bytes. Both sign the bytes that are sent: never serialize again after signing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64
MAX_SIGNATURES = 3

WORKOS_HEADER = "WorkOS-Signature"
WORKOS_TOLERANCE_MS = 180_000
STANDARD_TOLERANCE_S = 300

_WORKOS = re.compile(r"t=([0-9]{1,15}), ?v1=([0-9a-f]{64})")
_SECONDS = re.compile(r"[0-9]{1,12}")


class SignatureRefused(Exception):
    """A signature is missing, malformed, too old, too new, or of another body or secret."""


class SigningKey:
    """A secret that signs again and again: both keyed hashes are begun once, which is half of their cost."""

    __slots__ = ("_standard", "_workos")

    def __init__(self, secret: str) -> None:
        self._workos = hmac.new(secret.encode(), digestmod="sha256")
        self._standard = hmac.new(_standard_key(secret), digestmod="sha256")

    def workos(self, timestamp: str, body: bytes) -> str:
        """Return the digest of the WorkOS family; `timestamp` in milliseconds."""
        digest = self._workos.copy()
        digest.update(b"%b.%b" % (timestamp.encode(), body))
        return digest.hexdigest()

    def standard(self, message_id: str, timestamp: str, body: bytes) -> str:
        """Return the digest of Standard Webhooks; `timestamp` in seconds."""
        digest = self._standard.copy()
        digest.update(b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body))
        return binascii.b2a_base64(digest.digest(), newline=False).decode()


def new_endpoint_secret(random_bytes: bytes) -> str:
    """Return `whsec_` and the base64 of 24 to 64 random bytes; `ValueError` for another number of them."""
    if not MIN_SECRET_BYTES <= len(random_bytes) <= MAX_SECRET_BYTES:
        raise ValueError(f"an endpoint secret is made of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def workos_signature(secret: str | SigningKey, timestamp_ms: int, body: bytes) -> str:
    """Return the value of `WorkOS-Signature`: `t=<milliseconds>, v1=<hex>`, with the space Python needs."""
    timestamp = str(timestamp_ms)
    return f"t={timestamp}, v1={_key(secret).workos(timestamp, body)}"


def standard_headers(
    secrets: Sequence[str | SigningKey], message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of Standard Webhooks, signed with each secret in the order given.

    One to three secrets, newest first: several during the overlap of a rotation. `ValueError` otherwise.
    """
    if not 1 <= len(secrets) <= MAX_SIGNATURES:
        raise ValueError(f"a webhook is signed with 1 to {MAX_SIGNATURES} secrets, not {len(secrets)}")
    timestamp = str(timestamp_s)
    signatures = ["v1," + _key(secret).standard(message_id, timestamp, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def verify_workos(
    secret: str, header: str, body: bytes, *, now_ms: int, tolerance_ms: int = WORKOS_TOLERANCE_MS
) -> None:
    """Check a `WorkOS-Signature` header against the body as received; raises `SignatureRefused`."""
    match = _WORKOS.fullmatch(header)
    if match is None:
        raise SignatureRefused("The header is not of the form 't=<milliseconds>, v1=<hex>'.")
    timestamp, given = match.groups()
    if abs(now_ms - int(timestamp)) > tolerance_ms:
        raise SignatureRefused("The timestamp is too far from now.")
    if not hmac.compare_digest(SigningKey(secret).workos(timestamp, body), given):
        raise SignatureRefused("The signature is of another body or another secret.")


def verify_standard(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: int,
    tolerance_s: int = STANDARD_TOLERANCE_S,
) -> None:
    """Check the Standard Webhooks headers; any signature made with any of the secrets is enough.

    Header names may have any letter case, unknown signature versions are passed over. Raises
    `SignatureRefused` if nothing fits.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    message_id = lowered.get("webhook-id", "")
    timestamp = lowered.get("webhook-timestamp", "")
    if not message_id or _SECONDS.fullmatch(timestamp) is None:
        raise SignatureRefused("The headers webhook-id and webhook-timestamp are missing or malformed.")
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise SignatureRefused("The timestamp is too far from now.")
    signatures = lowered.get("webhook-signature", "")
    try:
        f"{message_id}{signatures}".encode()
    except UnicodeEncodeError:
        raise SignatureRefused("The headers hold what is no text.") from None
    expected = [SigningKey(secret).standard(message_id, timestamp, body).encode() for secret in secrets]
    for signature in signatures.split(" "):
        version, _, given = signature.partition(",")
        # Bytes, because compare_digest refuses text with other than ASCII characters.
        if version == "v1" and any(hmac.compare_digest(one, given.encode()) for one in expected):
            return
    raise SignatureRefused("No signature is of this body and a secret of the endpoint.")


def _key(secret: str | SigningKey) -> SigningKey:
    return SigningKey(secret) if isinstance(secret, str) else secret


def _standard_key(secret: str) -> bytes:
    """Return the decoded bytes, or the text itself where an imported secret is not base64."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
    return decoded or secret.encode()
