"""Who may push into a directory: bearer tokens, found by digest on every request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from syncline.core.events import DirectoryActivated, draft
from syncline.core.ids import bare
from syncline.core.model import Cause, Directory, DirectoryState
from syncline.core.scim.errors import unauthorized
from syncline.core.scim.quirks import quirk
from syncline.obs.logging import get_logger
from syncline.services.coalesce import Coalescer
from syncline.services.kernel import Kernel
from syncline.services.keyring import digest
from syncline.store import log
from syncline.store import scim_access as store
from syncline.store.database import Connection, DatabaseUnavailable
from syncline.store.scim_access import Credential

_USE_RECORDED_EVERY = timedelta(minutes=1)
MAX_TOKEN = 512
PATHS_SETTING = "scim_aliases"
"""Where a directory names the further paths that lead to it, in lower case."""
_OPENED = 1_000
# A token of which another service keeps the digest of sixteen bytes, not of the text that is presented.
_BYTES_PREFIX = "ssoready_scim_bearer_token_"
_BYTES_LENGTH = len(_BYTES_PREFIX) + 25
_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Aliased:
    """A request that came by a further path of a directory: the directory's id, and the path below it."""

    directory: str
    rest: bytes


class Elsewhere(Exception):
    """A request came by a further path of the directory that its credential opens."""

    def __init__(self, aliased: Aliased) -> None:
        super().__init__("by a further path")
        self.aliased = aliased


@dataclass(frozen=True, slots=True)
class Pending:
    """A directory, and the digest of a token that opened it before and has to be live still."""

    directory: Directory
    token: str
    token_id: str


class ScimAccess:
    """Turns a request's credential into the one directory it is for.

    A revocation holds from the next request on: whether a token is live is asked with every request. What a
    token opened before is remembered only as the place where a write has that asked (`pending`).
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._credentials: Coalescer[str, Credential] = Coalescer(
            self._load, collects=not kernel.database.looks_up_in_place
        )
        self._opened: dict[str, Credential] = {}
        self._noted: dict[str, datetime] = {}
        self._unwritten: dict[str, datetime] = {}
        self._writing: asyncio.Task[None] | None = None

    async def authenticate(
        self, directory_text: str, authorization: str | None, cause: Cause, *, path: bytes = b""
    ) -> Directory:
        """Return the directory that the address names and the credential opens.

        The first accepted request links a directory that was waiting for its provider. Raises the one 401
        `ScimError` whatever is wrong: no credential, a wrong, expired, revoked or foreign one, a directory
        that is deleted or never was. Raises `Elsewhere` for a raw `path` that only looks like an address of
        ours and is a further one of the credential's directory.
        """
        token, is_basic = read_token(authorization)
        token_digest = presented_digest(token)
        found = await self._credentials.get(token_digest)
        now = self._kernel.clock()
        if (
            found is None
            or (found.expires_at is not None and found.expires_at <= now)
            or not names_directory(directory_text, found.directory)
            or (is_basic and found.directory.settings.get("basic_authentication") is not True)
        ):
            self._opened.pop(token_digest, None)
            aliased = _aliased(found, path)
            if aliased is not None:
                raise Elsewhere(aliased)
            raise unauthorized()
        self._note_use(found.token_id, now)
        if found.directory.state is DirectoryState.VALIDATING:
            return await self._link(found.directory, cause)
        if not is_basic:
            if len(self._opened) >= _OPENED:
                self._opened.clear()
            self._opened[token_digest] = found
        return found.directory

    def pending(self, directory_text: str, authorization: str | None) -> Pending | None:
        """Return what a credential opened before, for a write that has the token looked at with its own rows.

        None where that is not known or not so simple; then `authenticate` is to be asked.
        """
        token, is_basic = read_token(authorization)
        token_digest = presented_digest(token)
        found = self._opened.get(token_digest)
        if found is None or is_basic or not names_directory(directory_text, found.directory):
            return None
        return Pending(found.directory, token_digest, found.token_id)

    async def aliased(self, path: bytes, authorization: str | None) -> Aliased | None:
        """Return where a raw path leads that is no directory's own, None if nowhere.

        Which directory is meant is for the token to say, which is not judged here: the paths are the ones of
        the directory that it opens.
        """
        found = await self._credentials.get(presented_digest(read_token(authorization)[0]))
        return _aliased(found, path)

    def used(self, pending: Pending) -> None:
        """Note that a write went through with the token."""
        self._note_use(pending.token_id, self._kernel.clock())

    async def flush(self) -> None:
        """Write the times of use that are not written yet."""
        if self._writing is not None:
            await self._writing

    async def _load(self, digests: Sequence[str]) -> dict[str, Credential]:
        return await self._kernel.database.look_up(lambda connection: store.credentials(connection, digests))

    async def _link(self, directory: Directory, cause: Cause) -> Directory:
        now = self._kernel.clock()

        def work(connection: Connection) -> Directory:
            linked = store.link(connection, directory.scope, now)
            if linked is None:
                return directory
            domains = store.domains_of(connection, linked.environment_id, linked.organization_id)
            event = draft(
                DirectoryActivated(linked, domains),
                environment_id=linked.environment_id,
                organization_id=linked.organization_id,
                directory_id=linked.id,
                recorded_at=now,
            )
            log.append(connection, [event], cause)
            return linked

        linked = await self._kernel.commit(directory.environment_id, work)
        _logger.info("directory.linked", directory_id=linked.id, cause=cause.id)
        return linked

    def _note_use(self, token_id: str, now: datetime) -> None:
        noted = self._noted.get(token_id)
        if noted is not None and now - noted < _USE_RECORDED_EVERY:
            return
        self._noted[token_id] = self._unwritten[token_id] = now
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_uses(), name="token uses")

    async def _write_uses(self) -> None:
        while self._unwritten:
            uses, self._unwritten = self._unwritten, {}
            try:
                await self._kernel.database.write(partial(store.record_use, uses=uses))
            except DatabaseUnavailable:
                # The next use of each token is noted again.
                for token_id in uses:
                    self._noted.pop(token_id, None)


@quirk("G-10", "any spelling of the scheme")
def _aliased(found: Credential | None, path: bytes) -> Aliased | None:
    paths = found.directory.settings.get(PATHS_SETTING) if found is not None else None
    if found is None or not isinstance(paths, list):
        return None
    asked = path.lower()
    for one in paths:
        base = str(one).encode()
        if asked.startswith(base) and asked[len(base) : len(base) + 1] in (b"", b"/"):
            return Aliased(bare(found.directory.id), path[len(base) :])
    return None


def read_token(authorization: str | None) -> tuple[str, bool]:
    """Return the token of an Authorization header, and whether it came as a Basic password.

    Accepts the scheme in any letter case, doubled or missing, and spaces or quotes around the token; what
    is no token at all comes back as text that no token has.
    """
    text = _unquoted(authorization or "")
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "basic" and rest:
        return _basic_password(rest), True
    while scheme.lower() == "bearer":
        text = _unquoted(rest)
        scheme, _, rest = text.partition(" ")
    return (text if len(text) <= MAX_TOKEN else ""), False


def presented_digest(token: str) -> str:
    """Return the digest under which a presented token is stored."""
    if token.startswith(_BYTES_PREFIX) and len(token) == _BYTES_LENGTH:
        try:
            raw = int(token[len(_BYTES_PREFIX) :], 36).to_bytes(16, "big")
        except (ValueError, OverflowError):
            return digest(token)
        return hashlib.sha256(raw).hexdigest()
    return digest(token)


def names_directory(text: str, directory: Directory) -> bool:
    """Tell whether an address names a directory: by bare id, full id or external key, in any letter case."""
    asked = text.lower()
    return asked in (bare(directory.id).lower(), directory.id.lower(), directory.external_key.lower())


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()


def _basic_password(text: str) -> str:
    try:
        decoded = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]
