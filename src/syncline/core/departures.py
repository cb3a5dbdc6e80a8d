"""What people were like until they left the product view, where the event of that does not tell."""

from __future__ import annotations

from dataclasses import dataclass

from syncline.core import wire
from syncline.core.events import builtins, text_of, user_body
from syncline.core.model import Directory, UserChange

# A departure is a change of these, and what they were is known.
_OF_EVERYBODY = ("state", "updated_at")


@dataclass(frozen=True, slots=True)
class PastPerson:
    """Somebody who left the product view: the id they had there, and the body that it showed until then."""

    user_id: str
    body: str


def changed_leaving(directory: Directory, change: UserChange | None, *, raw: bool) -> list[PastPerson]:
    """Return the person of a change who left the product view and was changed as well; else nobody.

    The event of somebody who becomes inactive shows them as the provider's request left them, so what they
    were like before is in no event. That of somebody who is deleted shows them as they were; only if they
    were inactive and touched at the same moment it looks like the other (`history.was_hidden`).
    """
    if change is None or change.before is None or change.before.directory_user_id is None:
        return []
    before, after, id_ = change.before, change.after, change.before.directory_user_id
    if after.deleted_at is not None:
        looks_hidden = not before.active and wire.iso(before.updated_at) == wire.iso(after.deleted_at)
        return [PastPerson(id_, text_of(user_body(directory, before, raw=raw)))] if looks_hidden else []
    if after.directory_user_id is not None:
        return []
    return _unless_told(user_body(directory, before, raw=raw), user_body(directory, after, id_, raw=raw))


def _unless_told(before: wire.DirectoryUser, after: wire.DirectoryUser) -> list[PastPerson]:
    known, told = builtins(before), builtins(after)
    names = (known.keys() | told.keys()).difference(_OF_EVERYBODY)
    if all(known.get(name) == told.get(name) for name in names):
        return []
    return [PastPerson(before.id, text_of(before))]
