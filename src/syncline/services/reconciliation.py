"""Reconciliations: an app's own roster against a directory, what they differ in, and the events to mend it.

Small rosters are compared before the call is answered, the others in the background.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from syncline.core import wire
from syncline.core.errors import Conflict, FieldError, ValidationFailed
from syncline.core.ids import Prefix
from syncline.core.model import Cause
from syncline.core.paging import Page, PageRequest, Span
from syncline.core.reconcile import CORRECTABLE, Drift
from syncline.obs.logging import get_logger
from syncline.services.kernel import Kernel
from syncline.services.reconciliation_intake import Address, Intake, Occasion, Rows, required
from syncline.services.reconciliation_run import BATCH
from syncline.services.reconciliation_shapes import shown, shown_correction, shown_finding, with_findings
from syncline.services.reconciliation_work import ReconciliationWork
from syncline.services.tokens import present
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliations import Correction, Reconciliation, State

_logger = get_logger(__name__)

CALL_SECONDS = 20.0
FIRST_FINDINGS = 100
_HOLD = timedelta(seconds=60)


class Reconciliations:
    """Comparisons of rosters with directories."""

    def __init__(self, kernel: Kernel, hold: timedelta = _HOLD, batch: int = BATCH) -> None:
        """`hold` is how long a claim lasts without a sign of life, `batch` how much is done in one step."""
        self._kernel = kernel
        self._intake = Intake(kernel)
        self._work = ReconciliationWork(kernel, hold, batch)

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
        made = await self._intake.begin(Occasion(environment_id, directory_id, cause, taken_at))
        try:
            await self._intake.stage(made, rows)
        except BaseException:
            await asyncio.shield(self._work.remove(made.id))
            raise
        return await self._answered(await self._intake.complete(made), wait)

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
        made = await self._intake.begin_at(Occasion(environment_id, directory_id, cause, taken_at), address)
        return await self._answered(made, wait)

    async def open(
        self, environment_id: str, directory_id: str, cause: Cause, *, taken_at: datetime | None = None
    ) -> wire.ReconciliationResult:
        """Make a reconciliation whose rows come in several calls. Raises `NotFound`."""
        made = await self._intake.begin(Occasion(environment_id, directory_id, cause, taken_at))
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
        return shown(
            await self._intake.add(environment_id, directory_id, reconciliation_id, rows, numbered=numbered)
        )

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
            lambda connection: required(connection, environment_id, directory_id, reconciliation_id)
        )
        if found.state is State.RECEIVING:
            found = await self._intake.complete(found)
        return await self._answered(found, wait)

    async def get(
        self, environment_id: str, directory_id: str, reconciliation_id: str
    ) -> wire.Reconciliation:
        """Return a reconciliation. Raises `NotFound`."""
        return shown(
            await self._kernel.database.read(
                lambda connection: required(connection, environment_id, directory_id, reconciliation_id)
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
            found = required(connection, environment_id, directory_id, reconciliation_id)
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
            current = required(connection, environment_id, directory_id, reconciliation_id, lock=True)
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
        await self._work.carry_on(asked, wait)
        _logger.info("reconciliation.correction", reconciliation_id=asked.id, drift=wanted, cause=cause.id)
        settled = await self._kernel.database.read(
            lambda connection: required(connection, environment_id, directory_id, reconciliation_id)
        )
        return shown_correction(wanted.value, settled.corrections[wanted.value])

    async def remove(self, environment_id: str, directory_id: str, reconciliation_id: str) -> None:
        """Remove a reconciliation with its findings, whatever is under way. Raises `NotFound`."""

        def work(connection: Connection) -> None:
            found = required(connection, environment_id, directory_id, reconciliation_id, lock=True)
            # Whoever works on it has lost the claim.
            store.change(connection, replace(found, fence=found.fence + 1, next_due_at=None))

        await self._kernel.database.write(work)
        await self._work.remove(reconciliation_id)

    async def resume(self) -> int:
        """Take up every reconciliation that is due and return how many there were."""
        return await self._work.resume()

    async def close(self) -> None:
        """Cut off what runs in the background; it is taken up again."""
        await self._work.close()

    async def _answered(self, at: Reconciliation, wait: float | None) -> wire.ReconciliationResult:
        await self._work.carry_on(at, wait)

        def work(connection: Connection) -> wire.ReconciliationResult:
            found = required(connection, at.environment_id, at.directory_id, at.id)
            first = store.findings(connection, found.id, Span(FIRST_FINDINGS, descending=False))
            return with_findings(shown(found), first)

        return await self._kernel.database.read(work)


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


def _drift(text: str) -> Drift:
    try:
        return Drift(text)
    except ValueError:
        raise ValidationFailed([FieldError("class", "class_invalid")]) from None
