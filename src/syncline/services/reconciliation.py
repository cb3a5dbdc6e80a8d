"""Reconciliations: an app's own roster against a directory, what they differ in, and the events to mend it.

What is left to do is a row that is due, so a comparison and a correction go on after a crash: whoever finds
it takes it up. Small rosters are done before the call is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from syncline.core import wire
from syncline.core.errors import Conflict, FieldError, NotFound, PayloadTooLarge, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, Scope
from syncline.core.paging import Page, PageRequest, Span
from syncline.core.reconcile import CORRECTABLE, Drift
from syncline.core.rosters import MAX_PROBLEMS, MAX_ROWS, RosterRow, RosterUnreadable, RowProblem
from syncline.net.policy import AddressRefused
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_fetch import ready, secret_place
from syncline.services.reconciliation_job import carry_out
from syncline.services.reconciliation_run import BATCH, Claim, ClaimLost, scope_of
from syncline.services.reconciliation_shapes import (
    refusal,
    shown,
    shown_correction,
    shown_finding,
    with_findings,
)
from syncline.services.tokens import present
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.jsontext import dump
from syncline.store.reconciliations import Correction, Phase, Reconciliation, State
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

CALL_SECONDS = 20.0
STAGED = 1_000
FIRST_FINDINGS = 100
MAX_SECRET = 4_096
_KIND = "Reconciliation"
_HOLD = timedelta(seconds=60)
_PATIENCE = timedelta(days=1)
_AT_ONCE = 20
_SLOTS = 2
_REMOVED = 2_000
Rows = Iterable[RosterRow | RowProblem]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the app exposes its roster, and the secret that it wants to see."""

    url: str
    bearer_token: str | None = None


class Reconciliations:
    """Comparisons of rosters with directories."""

    def __init__(self, kernel: Kernel, hold: timedelta = _HOLD, batch: int = BATCH) -> None:
        """`hold` is how long a claim lasts without a sign of life, `batch` how much is done in one step."""
        self._kernel = kernel
        self._hold = hold
        self._batch = batch
        self._working: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_SLOTS)

    async def compare(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        rows: Rows,
        *,
        taken_at: datetime | None = None,
        wait: float | None = CALL_SECONDS,
    ) -> wire.ReconciliationResult:
        """Compare a roster and return what is found, or how far it is after `wait` seconds.

        `taken_at` is when the app wrote the roster, now by default: people who changed later are left out.
        Raises `NotFound`, and `ValidationFailed` (`roster_invalid`) naming every bad row; nothing is kept
        then.
        """
        made = await self._begun(environment_id, directory_id, cause, taken_at, State.RECEIVING)
        try:
            await self._stage_all(made, rows)
        except BaseException:
            await asyncio.shield(self._remove(made.id))
            raise
        return await self._started(made, wait)

    async def fetch(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        address: Address,
        *,
        taken_at: datetime | None = None,
        wait: float | None = CALL_SECONDS,
    ) -> wire.ReconciliationResult:
        """Compare the roster that an address gives, as `compare` does.

        Raises `NotFound`, and `ValidationFailed` for an address that may not be called.
        """
        try:
            await self._kernel.policy.check_url(address.url, resolve=self._kernel.outbound.resolve)
        except AddressRefused as refused:
            error = FieldError("url", "url_invalid")
            raise ValidationFailed([error], refused.reason, code="invalid_url") from None
        _check_secret(address.bearer_token)
        made = await self._begun(
            environment_id, directory_id, cause, taken_at, State.FETCHING, address=address
        )
        return await self._answered(made, wait)

    async def open(
        self, environment_id: str, directory_id: str, cause: Cause, *, taken_at: datetime | None = None
    ) -> wire.ReconciliationResult:
        """Make a reconciliation whose rows come in several calls. Raises `NotFound`."""
        made = await self._begun(environment_id, directory_id, cause, taken_at, State.RECEIVING)
        return with_findings(shown(made), [])

    async def add_rows(
        self,
        environment_id: str,
        directory_id: str,
        reconciliation_id: str,
        rows: Rows,
        *,
        numbered: bool = True,
    ) -> wire.Reconciliation:
        """Add rows under the numbers of their lines; those that had these numbers before are replaced.

        Rows that are not `numbered` follow the last ones. Raises `NotFound`, `Conflict`
        (`reconciliation_started`), and `ValidationFailed` naming every bad row; none is added then.
        """
        checked = list(_checked(rows))

        def work(connection: Connection) -> Reconciliation:
            current = _required(connection, environment_id, directory_id, reconciliation_id, lock=True)
            if current.state is not State.RECEIVING:
                raise Conflict("The rows of the reconciliation are complete.", code="reconciliation_started")
            _, last = staging.extent(connection, current.id)
            offset = 0 if numbered else last
            moved = checked if not offset else [replace(row, line=row.line + offset) for row in checked]
            staging.stage(connection, current, moved)
            count, _ = staging.extent(connection, current.id)
            if count > MAX_ROWS:
                raise PayloadTooLarge(f"A roster has at most {MAX_ROWS} rows.")
            added = replace(current, rows=count, done=count)
            store.change(connection, added)
            return added

        return shown(await self._kernel.database.write(work))

    async def start(
        self,
        environment_id: str,
        directory_id: str,
        reconciliation_id: str,
        *,
        wait: float | None = CALL_SECONDS,
    ) -> wire.ReconciliationResult:
        """Begin the comparison of the rows that were added; once begun, tell how far it is.

        Raises `NotFound`.
        """
        found = await self._kernel.database.read(
            lambda connection: _required(connection, environment_id, directory_id, reconciliation_id)
        )
        if found.state is not State.RECEIVING:
            return await self._answered(found, wait)
        return await self._started(found, wait)

    async def get(
        self, environment_id: str, directory_id: str, reconciliation_id: str
    ) -> wire.Reconciliation:
        """Return a reconciliation. Raises `NotFound`."""
        return shown(
            await self._kernel.database.read(
                lambda connection: _required(connection, environment_id, directory_id, reconciliation_id)
            )
        )

    async def list(
        self, environment_id: str, directory_id: str, page: PageRequest
    ) -> Page[wire.Reconciliation]:
        """Return the reconciliations of a directory. Raises `NotFound` and `ValidationFailed`."""
        page = page.of(Prefix.RECONCILIATION)

        def work(connection: Connection) -> Page[Reconciliation]:
            scope = present(connection, environment_id, directory_id).scope
            return page.read(lambda span: store.page(connection, scope, span), key=lambda one: one.id)

        return (await self._kernel.database.read(work)).map(shown)

    async def findings(
        self,
        environment_id: str,
        directory_id: str,
        reconciliation_id: str,
        page: PageRequest,
        drift: str | None = None,
    ) -> Page[wire.ReconciliationFinding]:
        """Return findings, those of the most urgent class first. Raises `NotFound` and `ValidationFailed`."""
        page = page.of(Prefix.FINDING)
        wanted = None if drift is None else _drift(drift)

        def work(connection: Connection) -> Page[wire.ReconciliationFinding]:
            found = _required(connection, environment_id, directory_id, reconciliation_id)
            read = page.read(
                lambda span: store.findings(connection, found.id, span, wanted), key=lambda one: one.id
            )
            return read.map(shown_finding)

        return await self._kernel.database.read(work)

    async def correct(
        self,
        environment_id: str,
        directory_id: str,
        reconciliation_id: str,
        drift: str,
        cause: Cause,
        *,
        wait: float | None = CALL_SECONDS,
    ) -> wire.ReconciliationCorrection:
        """Emit the events that the app has missed for one class of findings, each once however often asked.

        Raises `NotFound`, `Conflict` (`reconciliation_incomplete`), and `ValidationFailed` for a class that
        there is no event for (`class_uncorrectable`).
        """
        wanted = _drift(drift)
        if wanted not in CORRECTABLE:
            raise ValidationFailed(
                [FieldError("class", "class_invalid")], _NO_EVENT[wanted], code="class_uncorrectable"
            )

        def work(connection: Connection) -> Reconciliation:
            current = _required(connection, environment_id, directory_id, reconciliation_id, lock=True)
            if current.state is not State.COMPLETE:
                raise Conflict(
                    f"The reconciliation is {current.state}, not complete.", code="reconciliation_incomplete"
                )
            if wanted.value in current.corrections:
                return current
            now = database_now(connection)
            asked = Correction(requested_by=cause.actor_id or cause.id, requested_at=now)
            changed = replace(
                current, corrections={**current.corrections, wanted.value: asked}, next_due_at=now
            )
            store.change(connection, changed)
            return changed

        asked = await self._kernel.database.write(work)
        await self._carry_on(asked, wait)
        _logger.info("reconciliation.correction", reconciliation_id=asked.id, drift=wanted, cause=cause.id)
        settled = await self._kernel.database.read(
            lambda connection: _required(connection, environment_id, directory_id, reconciliation_id)
        )
        return shown_correction(wanted.value, settled.corrections[wanted.value])

    async def remove(self, environment_id: str, directory_id: str, reconciliation_id: str) -> None:
        """Remove a reconciliation with its findings, whatever is under way. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            found = _required(connection, environment_id, directory_id, reconciliation_id, lock=True)
            # Whoever works on it has lost the claim.
            store.change(connection, replace(found, fence=found.fence + 1, next_due_at=None))

        await self._kernel.database.write(work)
        await self._remove(reconciliation_id)

    async def resume(self) -> int:
        """Take up every reconciliation that is due and return how many there were.

        Those whose rows stopped coming a day ago are removed.
        """

        def work(connection: Connection) -> tuple[list[str], list[str]]:
            now = database_now(connection)
            left = store.abandoned(connection, now - _PATIENCE, _AT_ONCE)
            return store.due(connection, now, _AT_ONCE), left

        due, abandoned = await self._kernel.database.read(work)
        for reconciliation_id in due:
            await self._take(reconciliation_id)
        for reconciliation_id in abandoned:
            await self._remove(reconciliation_id)
        return len(due)

    async def close(self) -> None:
        """Cut off what runs in the background; it is taken up again."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _begun(
        self,
        environment_id: str,
        directory_id: str,
        cause: Cause,
        taken_at: datetime | None,
        state: State,
        *,
        address: Address | None = None,
    ) -> Reconciliation:
        id_ = self._kernel.ids.new(Prefix.RECONCILIATION)
        sealed = None
        if address is not None and address.bearer_token:
            sealed = self._kernel.keyring.seal(address.bearer_token.encode(), secret_place(id_))
        now = from_ms(to_ms(self._kernel.clock()))
        if taken_at is not None and taken_at > now + timedelta(minutes=5):
            raise ValidationFailed([FieldError("taken_at", "taken_at_invalid")])

        def work(connection: Connection) -> Reconciliation:
            directory = present(connection, environment_id, directory_id)
            made = Reconciliation(
                environment_id=directory.environment_id,
                directory_id=directory.id,
                id=id_,
                state=state,
                source="upload" if address is None else "url",
                url=None if address is None else address.url,
                sealed=sealed,
                phase=Phase.FETCH,
                cause=cause.id,
                actor=None if cause.actor_id is None else dump({"id": cause.actor_id}),
                taken_at=now if taken_at is None else from_ms(to_ms(taken_at)),
                created_at=now,
                next_due_at=database_now(connection) if state is State.FETCHING else None,
            )
            store.add(connection, made)
            return made

        made = await self._kernel.database.write(work)
        _logger.info("reconciliation.begun", reconciliation_id=made.id, directory_id=directory_id)
        return made

    async def _stage_all(self, made: Reconciliation, rows: Rows) -> None:
        staged = 0
        batch: list[RosterRow] = []
        for row in _checked(rows):
            batch.append(row)
            if len(batch) >= STAGED:
                staged += len(batch)
                await self._kernel.database.write(partial(_put, made=made, rows=batch))
                batch = []
            if staged > MAX_ROWS:
                raise PayloadTooLarge(f"A roster has at most {MAX_ROWS} rows.")
        await self._kernel.database.write(partial(_put, made=made, rows=batch))

    async def _started(self, made: Reconciliation, wait: float | None) -> wire.ReconciliationResult:
        def work(connection: Connection) -> Reconciliation:
            current = store.get(connection, scope_of(made), made.id, lock=True)
            if current is None:
                raise NotFound(_KIND, made.id)
            if current.state is not State.RECEIVING:
                return current
            begun = replace(ready(connection, current), next_due_at=database_now(connection))
            store.change(connection, begun)
            return begun

        return await self._answered(await self._kernel.database.write(work), wait)

    async def _answered(self, at: Reconciliation, wait: float | None) -> wire.ReconciliationResult:
        await self._carry_on(at, wait)

        def work(connection: Connection) -> wire.ReconciliationResult:
            found = _required(connection, at.environment_id, at.directory_id, at.id)
            first = store.findings(connection, found.id, Span(FIRST_FINDINGS, descending=False))
            return with_findings(shown(found), first)

        return await self._kernel.database.read(work)

    async def _carry_on(self, at: Reconciliation, wait: float | None) -> None:
        """Work on a reconciliation for as long as the caller waits, then in the background."""
        if at.next_due_at is None:
            return
        task = asyncio.create_task(self._take(at.id), name="reconciliation")
        self._working.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=wait)
        if done:
            task.result()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.warning("reconciliation.interrupted", error=type(task.exception()).__name__)

    async def _take(self, reconciliation_id: str) -> None:
        """Claim a reconciliation and carry it as far as possible."""
        async with self._slots:
            taken = await self._kernel.database.write(
                lambda connection: store.claim(
                    connection, reconciliation_id, database_now(connection), self._hold
                )
            )
            if taken is None:
                return
            claim = Claim(self._kernel, taken.id, taken.fence, self._hold, self._batch)
            try:
                await carry_out(claim, taken)
            except ClaimLost:
                _logger.info("reconciliation.claim_lost", reconciliation_id=reconciliation_id)

    async def _remove(self, reconciliation_id: str) -> None:
        step = partial(store.remove, reconciliation_id=reconciliation_id, limit=_REMOVED)
        while not await self._kernel.database.write(step):
            pass


_NO_EVENT = {
    Drift.EXTRA: (
        "The directory never knew these people, so there is no event that tells of them, and none is "
        "invented. Remove or keep them in the app yourself."
    ),
    Drift.AMBIGUOUS: (
        "It is not certain whom these rows mean, so no event is emitted for them. Give the rows a "
        "directory_user_id and reconcile again."
    ),
}


def _put(connection: Connection, made: Reconciliation, rows: list[RosterRow]) -> None:
    """Stage rows, unless the reconciliation was removed meanwhile. Raises `NotFound`."""
    if store.get(connection, scope_of(made), made.id, lock=True) is None:
        raise NotFound(_KIND, made.id)
    staging.stage(connection, made, rows)


def _checked(rows: Rows) -> Iterator[RosterRow]:
    """Yield the rows; once one is bad, only look for others. Raises `ValidationFailed` naming them."""
    problems: list[RowProblem] = []
    try:
        for row in rows:
            if isinstance(row, RowProblem):
                problems.append(row)
                if len(problems) >= MAX_PROBLEMS:
                    raise refusal(problems, more=True)
            elif not problems:
                yield row
    except RosterUnreadable as refused:
        problems.append(refused.problem)
    if problems:
        raise refusal(problems, more=False)


def _required(
    connection: Connection,
    environment_id: str,
    directory_id: str,
    reconciliation_id: str,
    *,
    lock: bool = False,
) -> Reconciliation:
    scope: Scope = present(connection, environment_id, directory_id).scope
    found = None
    if is_id(Prefix.RECONCILIATION, reconciliation_id):
        found = store.get(connection, scope, reconciliation_id, lock=lock)
    if found is None:
        raise NotFound(_KIND, reconciliation_id)
    return found


def _drift(text: str) -> Drift:
    try:
        return Drift(text)
    except ValueError:
        raise ValidationFailed([FieldError("class", "class_invalid")]) from None


def _check_secret(secret: str | None) -> None:
    if secret is None:
        return
    if not 0 < len(secret) <= MAX_SECRET or not secret.isascii() or not secret.isprintable():
        raise ValidationFailed([FieldError("bearer_token", "bearer_token_invalid")])
