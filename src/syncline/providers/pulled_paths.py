"""Short ways to write down the default sources of attributes, in the form of an evaluation's body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncline.core.json import Json

Sources = Sequence[Mapping[str, Json]]
"""The sources of one attribute, of which the first that has a value wins."""

_EVERYTHING = "$sent"


def step(name: str, **arguments: Json) -> dict[str, Json]:
    """Return a transform with its arguments."""
    return {"name": name, "arguments": dict(arguments)}


def source(path: str, *transforms: str | dict[str, Json]) -> dict[str, Json]:
    """Return a source of a path; a transform without arguments is its name."""
    steps: list[Json] = [step(one) if isinstance(one, str) else one for one in transforms]
    return {"path": path, "transforms": steps}


def paths(*given: str) -> Sources:
    """Return sources of paths without transforms, in order."""
    return tuple(source(path) for path in given)


def firsts(*given: str) -> Sources:
    """Return sources of paths that may hold a list, of which the first entry counts."""
    return tuple(source(path, "first") for path in given)


def joined(*given: str | Sequence[str]) -> Sources:
    """Return the source of a text made of what several paths have, with spaces between.

    Of several paths in one place the first that has something counts.
    """
    places: list[Json] = [one if isinstance(one, str) else [*one] for one in given]
    return (source(_EVERYTHING, step("list", paths=places), step("join", separator=" ")),)


def together(*given: str) -> Sources:
    """Return the source of one list made of what several paths have."""
    return (source(_EVERYTHING, step("list", paths=[*given])),)


def made(**fields: str | bool) -> Sources:
    """Return the source of an object whose parts come from paths; `type` and `primary` are fixed."""
    wanted: dict[str, Json] = {
        key: {"value": given} if key in ("type", "primary") else given for key, given in fields.items()
    }
    return (source(_EVERYTHING, step("object", fields=wanted)),)
