"""Provider profiles are data that holds together."""

from __future__ import annotations

import pytest

from syncline.core.attribute_sources import Problems, read_sources, source_body
from syncline.core.predefined import PREDEFINED, STANDARD
from syncline.core.scim.quirks import CATALOG, GRANTED_BY
from syncline.providers import pulled
from syncline.providers.profile import Profile
from syncline.providers.registry import DIRECTORY_TYPES, PROFILES, Method, profile_of
from syncline.web.scim import app

ELSEWHERE = {
    # Granted by the shape of the whole rather than by one function; each has its step in the recordings.
    "E-01", "E-09", "E-11", "E-12", "E-24", "G-02", "G-03", "G-04", "G-09", "H-01", "H-02", "H-03", "H-05",
    "J-01", "J-02", "J-04", "K-01", "K-03", "M-07", "O-01", "O-03", "O-06", "O-07", "O-08", "O-13", "P-01",
    "P-02", "S-02", "S11-2", "S11-3", "S11-5", "A-02", "A-03", "A-04", "A-05", "A-06", "A-07", "C-02", "E-19",
    "L-02", "L-03", "L-04", "L-05", "L-06", "E-16", "E-17", "G-12", "A-01", "M-06", "E-06",
}  # fmt: skip


def test_every_scim_type_has_one_profile() -> None:
    types = [profile.type for profile in PROFILES]
    assert len(types) == len(set(types))
    assert set(types) == {name for name, method in DIRECTORY_TYPES.items() if method is Method.SCIM}
    assert profile_of("no such type").type.startswith("generic")


def test_a_profile_cannot_name_a_quirk_that_is_none() -> None:
    with pytest.raises(ValueError, match="X-99"):
        Profile(type="x", label="X", quirks=("X-99",))


def test_the_sources_of_every_provider_can_be_read() -> None:
    for profile in (*PROFILES, *pulled.PROFILES):
        assert profile.type in DIRECTORY_TYPES
        for key, sources in profile.attribute_sources.items():
            assert key in PREDEFINED or key in STANDARD
            problems = Problems()
            read = read_sources([dict(source) for source in sources], key, problems)
            assert not problems.errors
            assert [source_body(source) for source in read] == [dict(source) for source in sources]


def test_every_quirk_of_the_catalog_is_granted_somewhere() -> None:
    assert app.ScimApp is not None
    assert set(CATALOG) - set(GRANTED_BY) - ELSEWHERE == set()
