"""Deliberate faults, put into the real classes: a simulation that does not object to them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from syncline.core.retry import Outcome
from syncline.services import delivery_request, delivery_turn, endpoint_secrets, endpoints
from syncline.services.delivery_lanes import Lanes
from syncline.services.delivery_settings import DispatchSettings
from syncline.services.delivery_sources import Step
from syncline.services.delivery_turn import Turn
from syncline.store import deliveries, log
from syncline.store import tables as t
from syncline.store.database import Connection
from syncline.store.deliveries import Claim, Ending, Saved
from tests.reliability.simulation.world import World

Mutant = Callable[[], AbstractContextManager[object]]


@contextmanager
def _replaced(owner: Any, name: str, mutated: Callable[[Any], Any]) -> Iterator[None]:
    with patch.object(owner, name, mutated(getattr(owner, name))):
        yield


def _saving(change: Callable[[Connection, Claim, Ending], Claim]) -> AbstractContextManager[None]:
    """Let every save go through with a claim that was tampered with."""

    def mutated(save: Callable[..., Saved]) -> Callable[..., Saved]:
        def saving(connection: Connection, claim: Claim, progress: Any, ending: Ending, **rest: Any) -> Saved:
            return save(connection, change(connection, claim, ending), progress, ending, **rest)

        return saving

    return _replaced(deliveries, "save", mutated)


def _column(connection: Connection, claim: Claim, name: str) -> int | None:
    c = t.webhook_endpoints.c
    found: int | None = connection.execute(
        t.webhook_endpoints.select().with_only_columns(c[name]).where(c.id == claim.id)
    ).scalar_one_or_none()
    return found


def idle_without_wake() -> AbstractContextManager[object]:
    """An endpoint is put to sleep whatever was sealed since it was claimed."""

    def change(connection: Connection, claim: Claim, ending: Ending) -> Claim:
        wake = _column(connection, claim, "wake") if ending is Ending.IDLE else None
        return claim if wake is None else replace(claim, wake=wake)

    return _saving(change)


def no_fence() -> AbstractContextManager[object]:
    """A process that lost its lease writes all the same."""

    def change(connection: Connection, claim: Claim, ending: Ending) -> Claim:
        fence = _column(connection, claim, "fence")
        return claim if fence is None else replace(claim, fence=fence)

    return _saving(change)


def past_a_parked_lane() -> AbstractContextManager[object]:
    """The log is sent from although the directory has a parked delivery."""
    return patch.object(Lanes, "blocks", lambda self, lane: False)


def any_row_of_a_lane() -> AbstractContextManager[object]:
    """The last delivery of a lane is tried again instead of its head."""

    def mutated(due_head: Callable[..., Any]) -> Callable[..., Any]:
        def due(self: Any, now: Any, *rest: Any) -> Any:
            head = due_head(self, now, *rest)
            return head and max(
                (rows[-1] for rows in self._lanes.values() if rows[0] is head), key=lambda row: row.position
            )

        return due

    return _replaced(Lanes, "due_head", mutated)


def saved_before_the_send() -> AbstractContextManager[object]:
    """The cursor is written before the request is made."""

    def mutated(send: Callable[..., Any]) -> Callable[..., Any]:
        async def sending(self: Turn, step: Step) -> Any:
            if step.entry is not None and step.window is not None:
                step.window.settle(step.entry)
                await self._save(Ending.KEEP)
            return await send(self, step)

        return sending

    return _replaced(Turn, "_send", mutated)


def never_asked() -> AbstractContextManager[object]:
    """Nobody looks whether the endpoint was paused or changed before a request."""

    async def unchanged(self: Turn) -> bool:
        return True

    return patch.object(Turn, "_is_unchanged", unchanged)


@contextmanager
def told_at_once() -> Iterator[None]:
    """An owner is told of a change while turns still trust what they knew before it."""

    async def nothing() -> None:
        """Do not wait."""

    with (
        patch.object(endpoints, "let_turns_notice", nothing),
        patch.object(endpoint_secrets, "let_turns_notice", nothing),
    ):
        yield


def given_up_early() -> AbstractContextManager[object]:
    """A delivery is given up after four attempts."""

    def mutated(delay: Callable[..., timedelta | None]) -> Callable[..., timedelta | None]:
        def shorter(attempt: int, **rest: Any) -> timedelta | None:
            return None if attempt >= 4 else delay(attempt, **rest)

        return shorter

    default = DispatchSettings().delay
    shorter = mutated(default)

    def made(make: Callable[..., DispatchSettings]) -> Callable[..., DispatchSettings]:
        def making(self: Any) -> DispatchSettings:
            return replace(make(self), delay=shorter)

        return making

    return _replaced(World, "settings", made)


def retried_at_once() -> AbstractContextManager[object]:
    """A failure is tried again after a second, whatever the schedule says."""

    def made(make: Callable[..., DispatchSettings]) -> Callable[..., DispatchSettings]:
        def making(self: Any) -> DispatchSettings:
            return replace(make(self), delay=lambda attempt, **_: timedelta(seconds=1))

        return making

    return _replaced(World, "settings", made)


def one_secret_only() -> AbstractContextManager[object]:
    """Requests are signed with the newest secret alone, also while the one before it still holds."""

    def mutated(headers: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
        def signing(secrets: Any, *rest: Any) -> dict[str, str]:
            return headers(secrets[:1], *rest)

        return signing

    return _replaced(delivery_request, "signature_headers", mutated)


def no_limit_of_parked() -> AbstractContextManager[object]:
    """Parked deliveries are not limited."""

    def made(make: Callable[..., DispatchSettings]) -> Callable[..., DispatchSettings]:
        def making(self: Any) -> DispatchSettings:
            return replace(make(self), parked_limit=1_000_000)

        return making

    return _replaced(World, "settings", made)


def forgotten_failures() -> AbstractContextManager[object]:
    """A failure counts as a success."""

    def mutated(send: Callable[..., Any]) -> Callable[..., Any]:
        async def sending(*given: Any, **named: Any) -> Any:
            sent = await send(*given, **named)
            return replace(sent, outcome=Outcome.SUCCESS)

        return sending

    return _replaced(delivery_turn, "send", mutated)


def seal_without_waking() -> AbstractContextManager[object]:
    """The sealer does not tell the endpoints."""

    class Silent:
        def run(self, *_: object) -> int:
            return 1

    return patch.object(log, "_wake_endpoints", Silent())


MUTANTS: tuple[Mutant, ...] = (
    idle_without_wake,
    no_fence,
    past_a_parked_lane,
    any_row_of_a_lane,
    saved_before_the_send,
    never_asked,
    given_up_early,
    retried_at_once,
    one_secret_only,
    no_limit_of_parked,
    forgotten_failures,
    seal_without_waking,
)
