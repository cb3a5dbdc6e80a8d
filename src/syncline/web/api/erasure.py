"""The erasure of a person, a call of Syncline's own (`api.md` §11)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from syncline.core import wire
from syncline.web.api.described import note
from syncline.web.api.routing import Answer, Call, Route


class ErasureInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with a person who is still in the directory."""

    delete: Annotated[
        bool, note("Delete a person who is still in the directory first, as the provider would.", True)
    ] = False


async def _erase(call: Call) -> Answer:
    wanted = call.read(ErasureInput)
    erased = await call.services.erasures.erase(
        call.environment_id, call.path["id"], call.cause, delete=wanted.delete
    )
    return Answer(200, erased)


ROUTES = (
    Route(
        "POST",
        "/directory_users/{id}/erase",
        _erase,
        "Erase a person",
        wire.Erasure,
        takes=ErasureInput,
        scope="admin",
        about=(
            "Removes everything that tells who the person is or was: rows, the contents of events (which "
            "become tombstones with `erased: true`, in their places), what receivers answered, kept answers. "
            "The id may be any that the person ever had, also after they have left. Asking again returns how "
            "far it is: a large log takes longer than a call, and the state is `running` until it is done."
        ),
        refusals=((409, "directory_user_live"),),
    ),
)
