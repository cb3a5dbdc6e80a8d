"""What a directory really sends: paths that maps accept, and samples that tell nothing about a person."""

from __future__ import annotations

from syncline.core.attribute_paths import compile_path
from syncline.core.model import Document
from syncline.core.observed import ObservedPath, ObservedSchema, is_personal, mask

CUSTOM = "urn:okta:acme:2.0:user:custom"


def seen(*bodies: Document, limit: int = 500) -> ObservedSchema:
    schema = ObservedSchema(limit)
    for body in bodies:
        schema.add(body)
    return schema


def paths(schema: ObservedSchema) -> dict[str, ObservedPath]:
    return {observed.path: observed for observed in schema.paths()}


def test_every_path_finds_its_value_again() -> None:
    body: Document = {
        "userName": "mira",
        "name": {"givenName": "Mira", "middleName": ""},
        "Cost Center": 42,
        "a.b": {"c": True},
        CUSTOM: {"costPool": "north", "site": {"code": "B1"}},
        "emails": [
            {"value": "mira@x.example", "type": "work", "primary": True},
            {"value": "home@x.example", "type": "home"},
        ],
        "teams": ["red", "blue"],
    }
    found = paths(seen(body))
    assert list(found) == sorted(found)
    assert {path: sorted(one.types) for path, one in found.items()} == {
        "Cost Center": ["number"],
        "a.b.c": ["boolean"],
        "emails": ["list"],
        "emails.value": ["list"],
        'emails[type eq "home"].value': ["string"],
        'emails[type eq "work"].value': ["string"],
        "emails[primary].value": ["string"],
        "name.givenName": ["string"],
        "teams": ["list"],
        f"{CUSTOM}.costPool": ["string"],
        f"{CUSTOM}.site.code": ["string"],
        "userName": ["string"],
    }
    for path in found:
        assert compile_path(path)(body, {}) is not None, path
    assert found['emails[type eq "home"].value'].name == "emails (home)"
    assert found[f"{CUSTOM}.costPool"].name == "costPool"


def test_people_are_counted_once_for_each_path_in_any_letter_case() -> None:
    found = paths(seen({"title": "a", "TITLE": "a"}, {"Title": "b"}, {"title": ""}, {"title": None}))
    assert [(path, one.people) for path, one in found.items()] == [("title", 2)]


def test_what_a_path_cannot_name_is_left_out() -> None:
    assert paths(seen({"a[0]": 1, "b..c": 2, "": 3, "$d": 4, 'e"': 5, "f" * 500: 6, "schemas": ["x"]})) == {}


def test_there_is_a_limit_of_paths_and_it_is_told() -> None:
    schema = seen({f"k{number}": 1 for number in range(12)}, limit=10)
    assert len(schema.paths()) == 10
    assert schema.is_cut
    assert not seen({"k": 1}, limit=1).is_cut


def test_nesting_beyond_reason_is_left_out() -> None:
    body: Document = {"x": 1}
    for _ in range(20):
        body = {"a": body}
    assert paths(seen(body)) == {}


def samples(values: list[str], path: str = "site") -> list[str]:
    bodies: list[Document] = [{path: value} for value in values]
    schema = seen(*bodies)
    return paths(schema)[path].samples(schema.people, masked=True)


def test_values_that_many_share_are_shown_and_others_masked() -> None:
    assert samples(["North"] * 5 + ["South"] * 4) == ["North", "Xxxxx"]
    assert samples(["North"] * 5 + [f"s{number}" for number in range(300)]) == ["x000"]
    assert samples(["North"] * 50 + [f"s{number}" for number in range(300)])[0] == "North"
    assert samples(["Mira"] * 50, "nickName") == ["Xxxx"]
    assert samples(["mira@x.example"] * 50) == ["xxxx@x.xxxxxxx"]
    assert samples(["+47 555 01 00"] * 50) == ["+00 000 00 00"]
    assert samples(["A sentence that is too long to be one of a few words."] * 50) == [
        "X xxxxxxxx xxxx xx xxx xxxx xx xx xxx xx"
    ]


def test_booleans_are_shown_as_they_are() -> None:
    schema = seen({"remote": True})
    assert paths(schema)["remote"].samples(1, masked=True) == ["true"]


def test_samples_without_a_mask_are_the_most_frequent_values() -> None:
    bodies: list[Document] = [{"site": value} for value in ["b", "a", "c", "a", "d"]]
    schema = seen(*bodies)
    assert paths(schema)["site"].samples(5, masked=False) == ["a", "b", "c"]


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    observed = ObservedPath("site", "site")
    for number in range(5_000):
        observed.see(f"value {number}" * 100)
    assert len(observed.shared) <= 40
    assert len(observed.first) == 3
    assert max(map(len, [*observed.shared, *observed.first])) <= 100


def test_names_of_personal_attributes_are_known_wherever_they_stand() -> None:
    personal = (
        "name.givenName",
        "userName",
        'emails[type eq "work"].value',
        f"{CUSTOM}.mobilePhone",
        "birthDate",
    )
    assert all(map(is_personal, personal))
    assert not any(
        map(is_personal, (f"{CUSTOM}.costPool", "title", "userType", "cost_center_name", "department"))
    )


def test_a_mask_keeps_the_shape_and_nothing_else() -> None:
    assert mask("Äb-12 ç") == "Xx-00 x"
