"""What is particular about one provider, as data; every quirk is on for everybody all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncline.core.json import Json
from syncline.core.scim.quirks import CATALOG

GROUP_MEMBERS_ANSWERED = 1000


@dataclass(frozen=True, slots=True)
class Profile:
    """A SCIM provider: its type in the API, its name on screens, the dialect it is known to speak.

    `quirks` are the ids it is known to need. `group_members_answered`: up to how many members the answer to
    a PATCH of a group carries the group; above it is 204. `attribute_sources` are the sources of attributes
    (by key, in the form of an evaluation's body) that are other ones than usual.
    """

    type: str
    label: str
    quirks: tuple[str, ...] = ()
    note: str = ""
    group_members_answered: int = GROUP_MEMBERS_ANSWERED
    attribute_sources: Mapping[str, Sequence[Mapping[str, Json]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [id_ for id_ in self.quirks if id_ not in CATALOG]
        if unknown:
            raise ValueError(f"the profile of {self.label} names unknown quirks: {', '.join(unknown)}")
