"""The types a directory can have, and how each gets its people (`api.md` §8)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Method(StrEnum):
    """How people and groups reach a directory."""

    SCIM = "scim"
    PULL = "pull"


_SCIM_PROVIDERS = (
    "azure",
    "cyberark",
    "generic",
    "jump cloud",
    "okta",
    "onelogin",
    "pingfederate",
    "rippling",
    "sailpoint",
)
_PULL_TYPES = (
    "bamboohr",
    "breathe hr",
    "cezanne hr",
    "fourth hr",
    "gsuite directory",
    "hibob",
    "people hr",
    "personio",
    "s3",
    "sftp",
    "sftp workday",
    "workday",
)

DIRECTORY_TYPES: Mapping[str, Method] = {
    **{f"{provider} scim v2.0": Method.SCIM for provider in _SCIM_PROVIDERS},
    **dict.fromkeys(_PULL_TYPES, Method.PULL),
}
"""Every known type by the name that the API uses; both SDKs pass unknown ones through."""

BUILT_METHODS = frozenset({Method.SCIM})
"""The methods that can be served today."""
