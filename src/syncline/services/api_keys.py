"""API keys: each opens one environment, with scopes; shown once, kept as digests."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncline.core.errors import FieldError, NotFound, Unauthorized, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.paging import Page, PageRequest
from syncline.services.coalesce import Coalescer
from syncline.services.kernel import Kernel
from syncline.services.keyring import digest
from syncline.store import api_keys as store
from syncline.store.api_keys import ApiKey as ApiKey
from syncline.store.database import Connection, DatabaseUnavailable, UniqueViolation

SCOPES = ("read", "write", "admin")
"""Each scope includes the ones before it."""

SECRET_PREFIX = "sk_"
MIN_LENGTH = 24
MAX_NAME = 255
DEFAULT_OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32
_USE_RECORDED_EVERY = timedelta(minutes=1)
_KIND = "API key"


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Who makes an API call: the environment that is open to it, and what it may do there."""

    environment_id: str
    key_id: str
    name: str
    scopes: tuple[str, ...]

    def may(self, scope: str) -> bool:
        """Tell whether the key has a scope or one that includes it."""
        return any(held in SCOPES and SCOPES.index(held) >= SCOPES.index(scope) for held in self.scopes)


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key with its value, which is readable at this moment only."""

    key: ApiKey
    value: str


class ApiKeys:
    """The keys of environments, and the door they open."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: Coalescer[str, ApiKey] = Coalescer(self._load)
        self._noted: dict[str, datetime] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def authenticate(self, authorization: str | None) -> ApiCaller:
        """Return the caller of an Authorization header. Raises the one `Unauthorized`."""
        scheme, _, value = (authorization or "").strip().partition(" ")
        value = value.strip()
        if scheme.lower() != "bearer" or not value or len(value) > 512:
            raise Unauthorized
        key = await self._known.get(digest(value))
        now = self._kernel.clock()
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            raise Unauthorized
        self._note_use(key.id, now)
        return ApiCaller(key.environment_id, key.id, key.name, key.scopes)

    async def create(
        self,
        environment_id: str,
        name: str,
        scopes: Sequence[str] = SCOPES,
        *,
        expires_at: datetime | None = None,
        value: str | None = None,
    ) -> NewApiKey:
        """Make a key, of a given value if an operator brings one.

        Raises `ValidationFailed` for a name, scope, end or value that cannot be.
        """
        self._check(name, scopes, expires_at, value)
        value = value or self._new_value()
        key = ApiKey(
            environment_id=environment_id,
            id=self._kernel.ids.new(Prefix.API_KEY),
            name=name,
            suffix=value[-4:],
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            created_at=self._kernel.clock(),
            expires_at=expires_at,
        )
        try:
            await self._kernel.database.write(lambda connection: store.add(connection, key, digest(value)))
        except UniqueViolation:
            raise ValidationFailed([FieldError("value", "value_taken")]) from None
        return NewApiKey(key, value)

    async def ensure(self, environment_id: str, value: str) -> None:
        """See to it that a key of a given value opens the environment."""
        found = await self._load([digest(value)])
        if not found:
            try:
                await self.create(environment_id, "SYNCLINE_API_KEY", value=value)
            except ValidationFailed as refused:
                if refused.errors[0].code != "value_taken":
                    raise

    async def list(self, environment_id: str, page: PageRequest) -> Page[ApiKey]:
        """Return the keys that were not revoked."""
        page = page.of(Prefix.API_KEY)
        return await self._kernel.database.read(
            lambda connection: page.read(
                lambda span: store.page(connection, environment_id, span), key=lambda key: key.id
            )
        )

    async def roll(
        self, environment_id: str, key_id: str, *, overlap: timedelta = DEFAULT_OVERLAP
    ) -> NewApiKey:
        """Make a successor with the same name and scopes; the old key ends after `overlap`."""
        old = await self._required(environment_id, key_id)
        made = await self.create(environment_id, old.name, old.scopes)
        end = self._kernel.clock() + overlap
        if old.expires_at is None or old.expires_at > end:
            await self._kernel.database.write(
                lambda connection: store.end(connection, environment_id, key_id, end, revoke=False)
            )
        return made

    async def revoke(self, environment_id: str, key_id: str) -> None:
        """Refuse a key from now on. Raises `NotFound`."""
        await self._required(environment_id, key_id)
        now = self._kernel.clock()
        await self._kernel.database.write(
            lambda connection: store.end(connection, environment_id, key_id, now, revoke=True)
        )

    async def flush(self) -> None:
        """Wait for the times of use that are being written."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _required(self, environment_id: str, key_id: str) -> ApiKey:
        def work(connection: Connection) -> ApiKey | None:
            return store.get(connection, environment_id, key_id)

        found = await self._kernel.database.read(work) if is_id(Prefix.API_KEY, key_id) else None
        if found is None:
            raise NotFound(_KIND, key_id)
        return found

    async def _load(self, digests: Sequence[str]) -> dict[str, ApiKey]:
        return await self._kernel.database.read(lambda connection: store.by_digest(connection, digests))

    def _check(
        self, name: str, scopes: Sequence[str], expires_at: datetime | None, value: str | None
    ) -> None:
        wrong = []
        if not name.strip():
            wrong.append(FieldError("name", "name_required"))
        if len(name) > MAX_NAME:
            wrong.append(FieldError("name", "name_too_long"))
        if not scopes or any(scope not in SCOPES for scope in scopes):
            wrong.append(FieldError("scopes", "scopes_invalid"))
        if expires_at is not None and expires_at <= self._kernel.clock():
            wrong.append(FieldError("expires_at", "expires_at_invalid"))
        if value is not None and (not value.startswith(SECRET_PREFIX) or len(value) < MIN_LENGTH):
            wrong.append(FieldError("value", "value_invalid"))
        if wrong:
            raise ValidationFailed(wrong)

    def _new_value(self) -> str:
        return SECRET_PREFIX + base64.urlsafe_b64encode(self._kernel.random(_SECRET_BYTES)).decode().rstrip(
            "="
        )

    def _note_use(self, key_id: str, now: datetime) -> None:
        noted = self._noted.get(key_id)
        if noted is not None and now - noted < _USE_RECORDED_EVERY:
            return
        self._noted[key_id] = now
        task = asyncio.create_task(self._write_use(key_id, now), name="api key use")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_use(self, key_id: str, now: datetime) -> None:
        try:
            await self._kernel.database.write(lambda connection: store.record_use(connection, {key_id: now}))
        except DatabaseUnavailable:
            # The next use is noted again.
            self._noted.pop(key_id, None)
