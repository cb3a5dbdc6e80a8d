"""Okta, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="okta scim v2.0",
    label="Okta",
    quirks=(
        "O-01",
        "O-02",
        "O-03",
        "O-04",
        "O-05",
        "O-06",
        "O-07",
        "O-08",
        "O-09",
        "O-10",
        "O-11",
        "O-12",
        "O-13",
        "S11-1",
        "S11-2",
        "S11-3",
        "S11-4",
        "S11-5",
    ),
    note="Wizard apps replace the whole person, catalog apps patch; older apps speak SCIM 1.1.",
)
