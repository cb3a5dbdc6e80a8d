"""What the writer is asked for beside the commands of SCIM clients: by imports, and by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from syncline.core.commands import Command
from syncline.core.scim.normalize import Incoming


@dataclass(frozen=True, slots=True)
class ImportUser:
    """Make a person with ids that another system gave; nothing happens if the SCIM id is taken already.

    `alias` is the id by which the provider knows them; who is there gets it as well, unless they have one.
    """

    id: str
    directory_user_id: str
    incoming: Incoming
    created_at: datetime
    announced: bool = False
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class ImportGroup:
    """Make a group with an id that another system gave, without members; nothing happens if it is there.

    `alias` is as for people.
    """

    id: str
    incoming: Incoming
    created_at: datetime
    announced: bool = False
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class ImportMembers:
    """Add members, people or groups, to a group that is there; those that are in it stay."""

    group_id: str
    members: tuple[str, ...]
    announced: bool = False


@dataclass(frozen=True, slots=True)
class ClaimMembers:
    """Make memberships real that were parked: each id with the resource that it turns out to name.

    The writer carries it out with the command by which the ids become known, in the same transaction.
    """

    found: tuple[tuple[str, str], ...]


ImportCommand: TypeAlias = ImportUser | ImportGroup | ImportMembers
AnyCommand: TypeAlias = Command | ImportCommand | ClaimMembers
"""Everything that the writer takes."""
