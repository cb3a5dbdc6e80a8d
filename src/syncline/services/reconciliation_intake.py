"""The beginning of reconciliations: whose roster it is, and its rows, checked and staged as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from syncline.core.errors import Conflict, FieldError, NotFound, PayloadTooLarge, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, Scope
from syncline.core.rosters import MAX_PROBLEMS, MAX_ROWS, RosterRow, RosterUnreadable, RowProblem
from syncline.net.policy import AddressRefused
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_fetch import ready, secret_place
from syncline.services.reconciliation_run import scope_of
from syncline.services.reconciliation_shapes import refusal
from syncline.services.tokens import present
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.jsontext import dump
from syncline.store.reconciliations import Phase, Reconciliation, State
from syncline.store.types import from_ms, to_ms

_logger = get_logger(__name__)

STAGED = 1_000
MAX_SECRET = 4_096
KIND = "Reconciliation"
Rows = Iterable[RosterRow | RowProblem]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the app exposes its roster, and the secret that it wants to see."""

    url: str
    bearer_token: str | None = None


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which directory a roster is compared with, for whom, and when the app wrote it, now by default."""

    environment_id: str
    directory_id: str
    cause: Cause
    taken_at: datetime | None = None


class Intake:
    """Takes rosters in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def begin(self, occasion: Occasion) -> Reconciliation:
        """Make a reconciliation whose rows are to come. Raises `NotFound` and `ValidationFailed`."""
        return await self._begun(occasion, State.RECEIVING)

    async def begin_at(self, occasion: Occasion, address: Address) -> Reconciliation:
        """Make a reconciliation whose rows an address gives.

        Raises `NotFound`, and `ValidationFailed` for an address that may not be called.
        """
        try:
            await self._kernel.policy.check_url(address.url, resolve=self._kernel.outbound.resolve)
        except AddressRefused as refused:
            error = FieldError("url", "url_invalid")
            raise ValidationFailed([error], refused.reason, code="invalid_url") from None
        _check_secret(address.bearer_token)
        return await self._begun(occasion, State.FETCHING, address)

    async def stage(self, made: Reconciliation, rows: Rows) -> None:
        """Stage all rows of a roster. Raises `NotFound`, `PayloadTooLarge` and `ValidationFailed`."""
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

    async def add(
        self,
        environment_id: str,
        directory_id: str,
        reconciliation_id: str,
        rows: Rows,
        *,
        numbered: bool = True,
    ) -> Reconciliation:
        """Add rows under the numbers of their lines; those that had these numbers before are replaced.

        Rows that are not `numbered` follow the last ones. Raises `NotFound`, `Conflict`
        (`reconciliation_started`), and `ValidationFailed` naming every bad row; none is added then.
        """
        checked = list(_checked(rows))

        def work(connection: Connection) -> Reconciliation:
            current = required(connection, environment_id, directory_id, reconciliation_id, lock=True)
            if current.state is not State.RECEIVING:
                raise Conflict("The rows of the reconciliation are complete.", code="reconciliation_started")
            offset = 0 if numbered else staging.extent(connection, current.id)[1]
            moved = checked if not offset else [replace(row, line=row.line + offset) for row in checked]
            staging.stage(connection, current, moved)
            count, _ = staging.extent(connection, current.id)
            if count > MAX_ROWS:
                raise PayloadTooLarge(f"A roster has at most {MAX_ROWS} rows.")
            added = replace(current, rows=count, done=count)
            store.change(connection, added)
            return added

        return await self._kernel.database.write(work)

    async def complete(self, made: Reconciliation) -> Reconciliation:
        """Say that all rows are there, so that they are compared; once begun, only tell how far it is."""

        def work(connection: Connection) -> Reconciliation:
            current = store.get(connection, scope_of(made), made.id, lock=True)
            if current is None:
                raise NotFound(KIND, made.id)
            if current.state is not State.RECEIVING:
                return current
            begun = replace(ready(connection, current), next_due_at=database_now(connection))
            store.change(connection, begun)
            return begun

        return await self._kernel.database.write(work)

    async def _begun(
        self, occasion: Occasion, state: State, address: Address | None = None
    ) -> Reconciliation:
        actor_id = occasion.cause.actor_id
        id_ = self._kernel.ids.new(Prefix.RECONCILIATION)
        sealed = None
        if address is not None and address.bearer_token:
            sealed = self._kernel.keyring.seal(address.bearer_token.encode(), secret_place(id_))
        now = from_ms(to_ms(self._kernel.clock()))
        if occasion.taken_at is not None and occasion.taken_at > now + timedelta(minutes=5):
            raise ValidationFailed([FieldError("taken_at", "taken_at_invalid")])

        def work(connection: Connection) -> Reconciliation:
            directory = present(connection, occasion.environment_id, occasion.directory_id)
            made = Reconciliation(
                environment_id=directory.environment_id,
                directory_id=directory.id,
                id=id_,
                state=state,
                source="upload" if address is None else "url",
                url=None if address is None else address.url,
                sealed=sealed,
                phase=Phase.FETCH,
                cause=occasion.cause.id,
                actor=None if actor_id is None else dump({"id": actor_id}),
                taken_at=now if occasion.taken_at is None else from_ms(to_ms(occasion.taken_at)),
                created_at=now,
                next_due_at=database_now(connection) if state is State.FETCHING else None,
            )
            store.add(connection, made)
            return made

        made = await self._kernel.database.write(work)
        _logger.info("reconciliation.begun", reconciliation_id=made.id, directory_id=made.directory_id)
        return made


def required(
    connection: Connection,
    environment_id: str,
    directory_id: str,
    reconciliation_id: str,
    *,
    lock: bool = False,
) -> Reconciliation:
    """Return a reconciliation, locked until the commit if that is asked. Raises `NotFound`."""
    scope: Scope = present(connection, environment_id, directory_id).scope
    found = None
    if is_id(Prefix.RECONCILIATION, reconciliation_id):
        found = store.get(connection, scope, reconciliation_id, lock=lock)
    if found is None:
        raise NotFound(KIND, reconciliation_id)
    return found


def _put(connection: Connection, made: Reconciliation, rows: list[RosterRow]) -> None:
    """Stage rows, unless the reconciliation was removed meanwhile. Raises `NotFound`."""
    if store.get(connection, scope_of(made), made.id, lock=True) is None:
        raise NotFound(KIND, made.id)
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


def _check_secret(secret: str | None) -> None:
    if secret is None:
        return
    if not 0 < len(secret) <= MAX_SECRET or not secret.isascii() or not secret.isprintable():
        raise ValidationFailed([FieldError("bearer_token", "bearer_token_invalid")])
