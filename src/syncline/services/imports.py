"""Imports: asked for, given records, carried on where they stopped, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from syncline.core.errors import BadRequest, Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.imports import MAX_RECORDS
from syncline.core.json import Json
from syncline.core.model import Cause
from syncline.core.paging import Page, PageRequest
from syncline.net.policy import AddressRefused
from syncline.obs.logging import get_logger
from syncline.services.apply import Writer
from syncline.services.import_counts import counted
from syncline.services.import_managers import evaluate_again, noted
from syncline.services.import_records import ImportOptions, ImportRecords
from syncline.services.import_results import RecordResult
from syncline.services.import_walk import Walk, begin
from syncline.services.kernel import Kernel
from syncline.services.keyring import SealBroken, place
from syncline.store import imports as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.imports import Import as Import
from syncline.store.imports import ImportState

_logger = get_logger(__name__)

RECORDS, WORKOS = "records", "workos"
EVENTS = ("none", "created")
SCIM_IDS = ("bare", "prefixed")
MAX_DIRECTORIES = 1_000
_KIND = "Import"
_HOLD = timedelta(seconds=120)
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What an import is to do; `base_url`, `api_key` and `directory_ids` are for the WorkOS API only."""

    source: str
    events: str = "none"
    live: bool = False
    scim_ids: str = "bare"
    base_url: str | None = None
    api_key: str | None = None
    directory_ids: Sequence[str] = ()


class Imports:
    """The imports of environments. What reads a source goes on after a crash, in any process."""

    def __init__(self, kernel: Kernel, writer: Writer, hold: timedelta = _HOLD) -> None:
        """`hold` is how long a claim lasts without a sign of life."""
        self._kernel = kernel
        self._records = ImportRecords(kernel, writer)
        self._hold = hold
        self._working: set[asyncio.Task[None]] = set()

    async def create(self, environment_id: str, asked: ImportRequest, cause: Cause) -> Import:
        """Begin an import: one that waits for records, or one that reads a source in the background.

        Raises `ValidationFailed`, also for an address that may not be reached.
        """
        _check(asked)
        if asked.source == WORKOS:
            await self._check_address(asked.base_url or "")
        import_id = self._kernel.ids.new(Prefix.IMPORT)
        options = {
            "events": asked.events,
            "live": asked.live,
            "scim_ids": asked.scim_ids,
            "base_url": asked.base_url,
            "directory_ids": list(asked.directory_ids),
        }
        sealed = None if asked.api_key is None else self._seal(import_id, asked.api_key)
        is_walk = asked.source == WORKOS

        def work(connection: Connection) -> Import:
            now = database_now(connection)
            made = Import(
                environment_id=environment_id,
                id=import_id,
                kind=asked.source,
                options=options,
                cause=cause.id,
                created_at=now,
                state=ImportState.RUNNING if is_walk else ImportState.OPEN,
                sealed=sealed,
                progress=begin(asked.directory_ids) if is_walk else {"next_record": 1},
            )
            store.add(connection, made, now if is_walk else None)
            return made

        made = await self._kernel.database.write(work)
        _logger.info("import.created", import_id=made.id, source=asked.source, cause=cause.id)
        if is_walk:
            self._start(made.id)
        return made

    async def get(self, environment_id: str, import_id: str) -> Import:
        """Return an import. Raises `NotFound`."""
        return await self._kernel.database.read(
            lambda connection: _required(connection, environment_id, import_id)
        )

    async def list(self, environment_id: str, page: PageRequest) -> Page[Import]:
        """Return imports. Raises `ValidationFailed` for a cursor that is no id of one."""
        page = page.of(Prefix.IMPORT)
        return await self._kernel.database.read(
            lambda connection: page.read(
                lambda span: store.page(connection, environment_id, span), key=lambda one: one.id
            )
        )

    async def take_in(
        self, environment_id: str, import_id: str, first: int, values: Sequence[Json], cause: Cause
    ) -> tuple[Sequence[RecordResult], Import]:
        """Take in records, of which the first has this number in its file, and return what became of them.

        Records that were given before are taken in again, which changes nothing. Raises `NotFound`,
        `Conflict` for an import that is not open, `BadRequest` (`records_missing`) for a gap.
        """
        if not 0 < len(values) <= MAX_RECORDS:
            raise ValidationFailed([FieldError("records", "records_invalid")])
        current = await self.get(environment_id, import_id)
        _refuse_unless(current, ImportState.OPEN)
        expected = int(current.progress.get("next_record", 1))
        if not 1 <= first <= expected:
            raise BadRequest(f"The next record is number {expected}.", code="records_missing")
        results = await self._records.take_in(environment_id, values, _options(current), cause)
        # What was counted before is not counted again.
        fresh = results[max(0, expected - first) :]

        def work(connection: Connection) -> Import:
            held = _required(connection, environment_id, import_id, lock=True)
            after = max(int(held.progress.get("next_record", 1)), first + len(values))
            saved = noted(counted(held, fresh), results)
            saved = replace(saved, progress=saved.progress | {"next_record": after})
            store.save(connection, saved)
            return saved

        return results, await self._kernel.database.write(work)

    async def finish(self, environment_id: str, import_id: str) -> Import:
        """Close an import that took records; once more changes nothing. Raises `NotFound`, `Conflict`."""
        return await self._end(environment_id, import_id, ImportState.COMPLETE, (ImportState.OPEN,))

    async def cancel(self, environment_id: str, import_id: str) -> Import:
        """Stop an import; what is in stays, and the source's key is forgotten. Raises as `finish` does."""
        ends_from = (ImportState.OPEN, ImportState.RUNNING, ImportState.FAILED)
        return await self._end(environment_id, import_id, ImportState.CANCELED, ends_from)

    async def retry(self, environment_id: str, import_id: str, api_key: str | None, cause: Cause) -> Import:
        """Let a failed import go on where it stopped, with another key if one is given.

        Raises `NotFound`, and `Conflict` for one that has not failed.
        """

        def work(connection: Connection) -> Import:
            held = _required(connection, environment_id, import_id, lock=True)
            _refuse_unless(held, ImportState.FAILED)
            sealed = held.sealed if api_key is None else self._seal(import_id, api_key)
            again = replace(held, state=ImportState.RUNNING, sealed=sealed, error=None, finished_at=None)
            store.save(connection, again, next_due_at=database_now(connection), lease_until=None)
            return again

        resumed = await self._kernel.database.write(work)
        _logger.info("import.retried", import_id=import_id, cause=cause.id)
        self._start(import_id)
        return resumed

    async def resume(self) -> int:
        """Carry on every import that is due and return how many that were."""
        due = await self._kernel.database.read(
            lambda connection: store.due(connection, database_now(connection), _AT_ONCE)
        )
        failures: list[Exception] = []
        for import_id in due:
            try:
                await self._take(import_id)
            except Exception as error:
                # One that cannot be carried on must not keep the others from it.
                _logger.error("import.interrupted", import_id=import_id, error=type(error).__name__)
                failures.append(error)
        if failures:
            raise failures[0]
        return len(due)

    async def close(self) -> None:
        """Cut off what runs in the background; it is carried on elsewhere, or at the next start."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    def _start(self, import_id: str) -> None:
        task = asyncio.create_task(self._take(import_id), name="import")
        self._working.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The claim ends by itself, and whoever finds the import due carries it on.
            _logger.error("import.interrupted", exc_info=task.exception())

    async def _take(self, import_id: str) -> None:
        def claim(connection: Connection) -> Import | None:
            now = database_now(connection)
            taken = store.claim(connection, import_id, now, self._hold)
            return store.by_id(connection, import_id) if taken else None

        current = await self._kernel.database.write(claim)
        if current is None or current.state is not ImportState.RUNNING:
            return
        try:
            sealed = current.sealed or ""
            key = self._kernel.keyring.open(sealed, place("imports", import_id, "sealed")).decode()
        except SealBroken:
            await self._lose_key(import_id)
            return
        cause = Cause(self._kernel.ids.new(Prefix.REQUEST), actor_source="system", actor_name=import_id)
        walk = Walk(self._kernel, self._records, current, _options(current), key, cause, self._hold)
        await walk.run()

    async def _lose_key(self, import_id: str) -> None:
        def work(connection: Connection) -> None:
            held = store.by_id(connection, import_id, lock=True)
            lost = "The API key of the source cannot be opened any more; give it again to go on."
            failed = replace(held, state=ImportState.FAILED, error=lost, finished_at=database_now(connection))
            store.save(connection, failed, next_due_at=None, lease_until=None)

        await self._kernel.database.write(work)
        _logger.warning("import.key_lost", import_id=import_id)

    async def _end(
        self, environment_id: str, import_id: str, state: ImportState, ends_from: Sequence[ImportState]
    ) -> Import:
        def work(connection: Connection) -> Import:
            held = _required(connection, environment_id, import_id, lock=True)
            if held.state is state:
                return held
            _refuse_unless(held, *ends_from)
            ended = replace(held, state=state, sealed=None, finished_at=database_now(connection))
            store.save(connection, ended, next_due_at=None, lease_until=None)
            evaluate_again(self._kernel, connection, ended)
            return ended

        ended = await self._kernel.database.write(work)
        _logger.info("import.ended", import_id=import_id, state=ended.state.value)
        return ended

    async def _check_address(self, base_url: str) -> None:
        try:
            await self._kernel.policy.check_url(base_url, resolve=self._kernel.outbound.resolve)
        except AddressRefused as refusal:
            raise ValidationFailed([FieldError("base_url", "base_url_invalid")], refusal.reason) from None

    def _seal(self, import_id: str, api_key: str) -> str:
        return self._kernel.keyring.seal(api_key.encode(), place("imports", import_id, "sealed"))


def _options(current: Import) -> ImportOptions:
    return ImportOptions(
        announced=current.options.get("events") == "created", live=bool(current.options.get("live"))
    )


def _check(asked: ImportRequest) -> None:
    wrong = []
    if asked.source not in (RECORDS, WORKOS):
        wrong.append(FieldError("source", "source_invalid"))
    if asked.events not in EVENTS:
        wrong.append(FieldError("events", "events_invalid"))
    if asked.scim_ids not in SCIM_IDS:
        wrong.append(FieldError("scim_ids", "scim_ids_invalid"))
    if asked.source == WORKOS:
        wrong += [
            FieldError(name, f"{name}_required")
            for name, value in (("base_url", asked.base_url), ("api_key", asked.api_key))
            if not value
        ]
    elif asked.base_url or asked.api_key or asked.directory_ids:
        wrong.append(FieldError("source", "source_invalid"))
    if asked.api_key and not (asked.api_key.isascii() and asked.api_key.isprintable()):
        wrong.append(FieldError("api_key", "api_key_invalid"))
    named = asked.directory_ids
    if len(named) > MAX_DIRECTORIES or any(not id_ or not id_.isascii() or "/" in id_ for id_ in named):
        wrong.append(FieldError("directory_ids", "directory_ids_invalid"))
    if wrong:
        raise ValidationFailed(wrong)


def _required(connection: Connection, environment_id: str, import_id: str, *, lock: bool = False) -> Import:
    known = is_id(Prefix.IMPORT, import_id)
    found = store.get(connection, environment_id, import_id, lock=lock) if known else None
    if found is None:
        raise NotFound(_KIND, import_id)
    return found


def _refuse_unless(current: Import, *states: ImportState) -> None:
    if current.state not in states:
        raise Conflict(f"The import is {current.state.value}.", code="import_state")
