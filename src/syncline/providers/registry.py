"""The types a directory can have, and how each gets its people (`api.md` §8)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from syncline.providers import (
    azure,
    cyberark,
    generic,
    jumpcloud,
    okta,
    onelogin,
    pingfederate,
    pulled,
    rippling,
    sailpoint,
)
from syncline.providers.profile import Profile


class Method(StrEnum):
    """How people and groups reach a directory."""

    SCIM = "scim"
    PULL = "pull"


PROFILES: tuple[Profile, ...] = (
    azure.PROFILE,
    cyberark.PROFILE,
    generic.PROFILE,
    jumpcloud.PROFILE,
    okta.PROFILE,
    onelogin.PROFILE,
    pingfederate.PROFILE,
    rippling.PROFILE,
    sailpoint.PROFILE,
)
"""Every SCIM provider; a new one is a file of its own and a line here."""

_BY_TYPE = {profile.type: profile for profile in (*PROFILES, *pulled.PROFILES)}

DIRECTORY_TYPES: Mapping[str, Method] = {
    **{profile.type: Method.SCIM for profile in PROFILES},
    **{profile.type: Method.PULL for profile in pulled.PROFILES},
}
"""Every known type by the name that the API uses; both SDKs pass unknown ones through."""

BUILT_METHODS = frozenset({Method.SCIM})
"""The methods that can be served today."""


def profile_of(type_: str) -> Profile:
    """Return the profile of a directory's type, the generic one for types without their own."""
    return _BY_TYPE.get(type_, generic.PROFILE)
