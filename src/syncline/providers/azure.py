"""Microsoft Entra ID, as a SCIM client."""

from __future__ import annotations

from syncline.providers.profile import Profile

PROFILE = Profile(
    type="azure scim v2.0",
    label="Microsoft Entra ID",
    quirks=(
        "E-01",
        "E-02",
        "E-03",
        "E-04",
        "E-05",
        "E-06",
        "E-07",
        "E-08",
        "E-09",
        "E-10",
        "E-11",
        "E-12",
        "E-13",
        "E-14",
        "E-15",
        "E-16",
        "E-17",
        "E-18",
        "E-19",
        "E-20",
        "E-21",
        "E-22",
        "E-23",
        "E-24",
        "G-02",
        "G-03",
        "G-05",
    ),
    note="One operation per attribute, or one without path where the 2020 feature flag is set.",
)
