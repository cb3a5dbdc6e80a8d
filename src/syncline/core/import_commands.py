"""What an import asks the writer for, as typed commands beside those of SCIM clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from syncline.core.commands import Command
from syncline.core.scim.normalize import Incoming


@dataclass(frozen=True, slots=True)
class ImportUser:
    """Make a person with ids that another system gave; nothing happens if the SCIM id is taken already."""

    id: str
    directory_user_id: str
    incoming: Incoming
    created_at: datetime
    announced: bool = False


@dataclass(frozen=True, slots=True)
class ImportGroup:
    """Make a group with an id that another system gave, without members; nothing happens if it is there."""

    id: str
    incoming: Incoming
    created_at: datetime
    announced: bool = False


@dataclass(frozen=True, slots=True)
class ImportMembers:
    """Add members to a group that is there; those that are in it stay."""

    group_id: str
    members: tuple[str, ...]
    announced: bool = False


ImportCommand: TypeAlias = ImportUser | ImportGroup | ImportMembers
AnyCommand: TypeAlias = Command | ImportCommand
"""Everything that the writer takes."""
