"""Changes that floors held back: listed, carried out all the same, or left as they are."""

from __future__ import annotations

from syncline.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause, Directory
from syncline.core.paging import Page, PageRequest
from syncline.obs.logging import get_logger
from syncline.services.evaluating import evaluate_people
from syncline.services.kernel import Kernel
from syncline.services.tokens import locked, present
from syncline.store import held_changes as store
from syncline.store.database import Connection
from syncline.store.held_changes import HeldChange as HeldChange

_logger = get_logger(__name__)


class HeldChanges:
    """What waits for somebody's decision in directories."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(
        self, environment_id: str, directory_id: str, state: str | None, page: PageRequest
    ) -> Page[HeldChange]:
        """Return held changes, those in a state if one is named.

        Raises `NotFound` for the directory, and `ValidationFailed` for a state or cursor that is none.
        """
        page = page.of(Prefix.HELD)
        if state is not None and state not in store.STATES:
            raise ValidationFailed([FieldError("state", "state_invalid")])

        def work(connection: Connection) -> Page[HeldChange]:
            directory = present(connection, environment_id, directory_id)
            return page.read(
                lambda span: store.page(connection, directory.scope, state, span), key=lambda held: held.id
            )

        return await self._kernel.database.read(work)

    async def approve(self, environment_id: str, directory_id: str, held_id: str, cause: Cause) -> HeldChange:
        """Carry a change out, whatever the floor says; announced with `dsync.user.updated`.

        Raises `NotFound`, and `Conflict` (`held_change_settled`) for one that nobody has to decide any more.
        """

        def work(connection: Connection) -> HeldChange:
            directory = locked(connection, environment_id, directory_id)
            held = _pending(connection, directory, held_id)
            self._settle(connection, directory, held, store.APPROVED, cause)
            evaluate_people(self._kernel, connection, directory.scope, [held.user_id], cause, floors=False)
            return _required(connection, directory, held_id)

        settled = await self._kernel.commit(environment_id, work)
        _logger.info("held_change.approved", directory_id=directory_id, held_id=held_id, cause=cause.id)
        return settled

    async def ignore(self, environment_id: str, directory_id: str, held_id: str, cause: Cause) -> HeldChange:
        """Leave things as they are; the same is not asked again while its reason lasts.

        Raises as `approve` does.
        """

        def work(connection: Connection) -> HeldChange:
            directory = locked(connection, environment_id, directory_id)
            held = _pending(connection, directory, held_id)
            self._settle(connection, directory, held, store.IGNORED, cause)
            return _required(connection, directory, held_id)

        settled = await self._kernel.database.write(work)
        _logger.info("held_change.ignored", directory_id=directory_id, held_id=held_id, cause=cause.id)
        return settled

    def _settle(
        self, connection: Connection, directory: Directory, held: HeldChange, state: store.State, cause: Cause
    ) -> None:
        now = self._kernel.clock()
        store.settle(connection, directory.scope, held.id, state, cause.actor_id, now)


def _pending(connection: Connection, directory: Directory, held_id: str) -> HeldChange:
    held = _required(connection, directory, held_id, lock=True)
    if held.state != store.PENDING:
        raise Conflict(f"The change is {held.state} already.", code="held_change_settled")
    return held


def _required(
    connection: Connection, directory: Directory, held_id: str, *, lock: bool = False
) -> HeldChange:
    found = None
    if is_id(Prefix.HELD, held_id):
        found = store.get(connection, directory.scope, held_id, lock=lock)
    if found is None:
        raise NotFound("Held change", held_id)
    return found
