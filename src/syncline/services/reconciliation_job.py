"""Carry a claimed reconciliation as far as it goes: fetch, compare, tidy up, correct, or say why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from syncline.core.errors import NotFound
from syncline.core.reconcile import Drift
from syncline.core.rosters import RowProblem
from syncline.net.http import OutboundFailure
from syncline.obs.logging import get_logger
from syncline.services.keyring import SealBroken
from syncline.services.reconciliation_corrections import Corrections
from syncline.services.reconciliation_fetch import RosterFetch, RosterRefused
from syncline.services.reconciliation_run import Claim, Comparison, scope_of
from syncline.store import reconciliation_rows as staging
from syncline.store import reconciliations as store
from syncline.store.database import Connection
from syncline.store.engine import database_now
from syncline.store.reconciliations import Phase, Reconciliation, State

_logger = get_logger(__name__)

_CLEARED = 2_000
# An address that does not answer is asked again after these.
_PAUSES = (timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=2))


async def carry_out(claim: Claim, at: Reconciliation) -> None:
    """Do what is left to do of a claimed reconciliation, and give the claim up. Raises `ClaimLost`."""
    while at.next_due_at is not None:
        try:
            at = await _next_step(claim, at)
        except OutboundFailure as failure:
            at = await claim.step(partial(_unreachable, failure=failure))
            if at.state is State.FETCHING:
                await claim.kernel.database.write(
                    partial(store.release, reconciliation_id=at.id, fence=at.fence)
                )
                return
        except RosterRefused as refused:
            at = await claim.step(partial(_failed, message=str(refused), problems=refused.problems))
        except SealBroken:
            message = "The secret of the address cannot be opened any more; reconcile again."
            at = await claim.step(partial(_failed, message=message))
        except NotFound:
            at = await claim.step(partial(_failed, message="The directory was deleted meanwhile."))
    await claim.kernel.database.write(partial(store.release, reconciliation_id=at.id, fence=at.fence))
    _logger.info("reconciliation.settled", reconciliation_id=at.id, state=at.state)


async def _next_step(claim: Claim, at: Reconciliation) -> Reconciliation:
    if at.phase is Phase.FETCH:
        return await RosterFetch(claim).carry_out(at)
    if at.phase is Phase.TIDY:
        return await claim.step(_tidied)
    if at.phase is not Phase.DONE:
        return await Comparison(claim, scope_of(at)).carry_on(at)
    asked = next((name for name, one in at.corrections.items() if one.state == "running"), None)
    if asked is None:
        return await claim.step(_rested)
    return await Corrections(claim).carry_on(Drift(asked))


def _tidied(connection: Connection, current: Reconciliation) -> Reconciliation:
    """Remove rows of the roster, and what it was fetched with: what is worth keeping is in the findings."""
    phase = Phase.TIDY if staging.clear(connection, current.id, _CLEARED) else Phase.DONE
    return replace(current, phase=phase, url=None, sealed=None)


def _rested(_: Connection, current: Reconciliation) -> Reconciliation:
    """Be due no more, unless a correction was asked for a moment ago."""
    if any(one.state == "running" for one in current.corrections.values()):
        return current
    return replace(current, next_due_at=None)


def _unreachable(
    connection: Connection, current: Reconciliation, *, failure: OutboundFailure
) -> Reconciliation:
    if current.attempts >= len(_PAUSES):
        return _failed(connection, current, message=f"The roster cannot be fetched: {failure.detail}")
    return replace(
        current,
        error=failure.detail,
        attempts=current.attempts + 1,
        next_due_at=database_now(connection) + _PAUSES[current.attempts],
    )


def _failed(
    connection: Connection,
    current: Reconciliation,
    *,
    message: str,
    problems: tuple[RowProblem, ...] = (),
) -> Reconciliation:
    now = database_now(connection)
    corrections = {
        name: one if one.state == "complete" else replace(one, state="complete", finished_at=now)
        for name, one in current.corrections.items()
    }
    return replace(
        current,
        state=State.FAILED if current.state is not State.COMPLETE else State.COMPLETE,
        phase=Phase.TIDY,
        error=message,
        problems=problems,
        corrections=corrections,
        finished_at=current.finished_at or now,
        next_due_at=now,
    )
