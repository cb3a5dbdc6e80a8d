"""SCIM filters: what is read, what is refused, and what a filter means on a resource."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from syncline.core.json import Json
from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import (
    And,
    Comparison,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
    equality_terms,
    matches,
    matches_entry,
    parse_filter,
    parse_instant,
    parse_value_filter,
)
from syncline.core.scim.names import AttributePath, parse_attribute
from syncline.core.scim.quirks import Quirks
from syncline.core.scim.schema import ENTERPRISE_URN, USER_URN, ResourceKind

USER: dict[str, Json] = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "id": "01HZX",
    "externalId": "Ext-1",
    "userName": "Straße@Example.com",
    "name": {"givenName": "Alder", "familyName": "Moss"},
    "displayName": 'Alder "the axe" Moss',
    "title": "Tree_surgeon 100%",
    "active": True,
    "nickName": "",
    "emails": [
        {"value": "Alder@work.example", "type": "work", "primary": True},
        {"value": "alder@home.example", "type": "home"},
    ],
    "groups": [{"value": "G1", "display": "Staff"}],
    ENTERPRISE_URN: {"department": "Nursery", "manager": {"value": "Boss-1"}},
    "custom": "x",
    "meta": {
        "resourceType": "User",
        "created": "2026-01-15T12:00:00.000Z",
        "lastModified": "2026-02-01T00:00:00.500Z",
        "version": 'W/"3"',
    },
}
GROUP: dict[str, Json] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    "id": "G1",
    "displayName": "Staff",
    "members": [{"value": "U1", "type": "User"}, {"value": "U2", "type": "User"}],
    "meta": {"resourceType": "Group"},
}


def holds(text: str, resource: dict[str, Json] = USER) -> bool:
    kind = ResourceKind.GROUP if resource is GROUP else ResourceKind.USER
    return matches(parse_filter(text, kind), resource, kind)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "STRASSE@example.COM"',
        'USERNAME Eq "straße@example.com"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "stra"',
        "URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:username pr",
        'externalId eq "Ext-1"',
        'id eq "01HZX"',
        'name.familyName co "OS"',
        'name.givenName ew "der"',
        'title co "_surgeon 100%"',
        'displayName eq "Alder \\"the axe\\" Moss"',
        'displayName eq "Alder \\u0022the axe\\u0022 Moss"',
        'title ne "gardener"',
        'userType ne "Employee"',
        "userType eq null",
        "title ne null",
        "not (nickName pr)",
        "nickName eq null",
        "emails pr",
        'emails co "HOME.example"',
        'emails.value eq "alder@WORK.example"',
        'emails ne "alder@home.example"',
        'emails[type eq "home" and value co "alder"]',
        'emails[not (type eq "work")]',
        'emails[type eq "fax" or type eq "home"]',
        "emails[primary eq true]",
        'emails[primary eq "True"]',
        'emails[emails.type eq "work"]',
        'emails[type eq "work"].value eq "alder@work.example"',
        'emails[type eq "fax" or type eq "home"].value sw "alder@home"',
        "active eq true",
        'active eq "TRUE"',
        "active ne false",
        'meta.created lt "2026-01-15T13:00:00.0000001+00:30"',
        'meta.created eq "2026-01-15T13:00:00+01:00"',
        'meta.lastModified ge "2026-02-01T00:00:00.5000000Z"',
        'meta.lastModified gt "0001-01-01T00:00:00"',
        'meta.resourceType eq "User"',
        f'schemas eq "{ENTERPRISE_URN}"',
        f'schemas eq "{ENTERPRISE_URN.lower()}"',
        'groups.value eq "G1"',
        'groups eq "G1"',
        f'{ENTERPRISE_URN}:department eq "nursery"',
        f'{ENTERPRISE_URN}.department eq "nursery"',
        'urn:scim:schemas:extension:enterprise:1.0:department eq "nursery"',
        'department eq "nursery"',
        'manager eq "Boss-1"',
        'manager.managerId eq "Boss-1"',
        f'{ENTERPRISE_URN}:manager.value eq "Boss-1"',
        'userName gt "a" and userName lt "z"',
        'title eq "x" and title eq "y" or active eq true',
        'active eq true and (title eq "x" or name.familyName eq "moss")',
        'not (active eq true and title eq "x")',
        "externalId eq Ext-1",
        "  userName   pr  ",
        'not(title eq "x")',
    ],
)
def test_a_filter_that_describes_the_person_finds_them(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        'externalId eq "ext-1"',
        'id eq "01hzx"',
        'emails[type eq "work" and value co "home"]',
        'emails[type eq "work"].value eq "alder@home.example"',
        'emails[type eq "fax"].value ne "anything"',
        'emails eq "%"',
        'title sw "Tree%"',
        "active eq false",
        'active eq "maybe"',
        'active co "tru"',
        "userType pr",
        'userType gt "a"',
        "title eq null",
        'custom eq "x"',
        "custom pr",
        'urn:example:garden:2.0:User:custom eq "x"',
        'userName.part eq "straße"',
        'name eq "Alder"',
        'meta.created gt "2026-01-15T12:00:00Z"',
        'department eq "nurse"',
        'emails[unknown eq "x"]',
        'custom[value eq "x"]',
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName pr",
        'title eq "x" and title eq "y" or active eq false',
    ],
)
def test_a_filter_that_does_not_describe_the_person_leaves_them_out(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    ['members eq "U1"', 'members[value eq "U2"]', 'members.value eq "U2"', 'id eq "G1" and members eq "U1"'],
)
def test_a_group_is_found_by_its_members(text: str) -> None:
    """E-12: the probe before each membership change."""
    assert holds(text, GROUP)
    assert not holds(text.replace("U", "X"), GROUP)


def test_an_enterprise_name_means_nothing_for_a_group() -> None:
    assert not holds("department pr", GROUP)


def test_one_kind_is_not_found_by_the_filter_of_the_other() -> None:
    everything = parse_filter('id ne ""', ResourceKind.USER)
    assert not matches(everything, GROUP, ResourceKind.USER)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n"])
def test_an_empty_filter_lists_everything(text: str) -> None:
    assert parse_filter(text, ResourceKind.USER) is None
    assert matches(None, USER, ResourceKind.USER)


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        'userName xx "a"',
        '(userName eq "a"',
        'userName eq "a")',
        'userName eq "a" and',
        'and userName eq "a"',
        'userName eq "a" and or title pr',
        'eq "a"',
        'emails[type eq "work"',
        'emails type eq "work"]',
        'emails[type eq "work")',
        "emails[]",
        "()",
        "not ()",
        "not title pr",
        "not",
        'userName eq "a" "b"',
        'userName eq "a" title',
        "userName eq two words",
        "userName eq and",
        "userName eq (a)",
        'userName eq "a',
        'userName eq "a\\"',
        'userName eq "a\\x"',
        'userName eq "line\nbreak"',
        'userName eq "\\ud800"',
        'userName eq "\\u0000"',
        "userName eq \ud800",
        "userName eq a\x00",
        'userName eq"a"',
        'userName eq "a"and title pr',
        'user name eq "a"',
        '1name eq "a"',
        'name.givenName.first eq "a"',
        'userName. eq "a"',
        'urn: eq "a"',
        f'{USER_URN}: eq "a"',
        'emails[emails[type eq "x"]]',
        'emails.value[type eq "x"]',
        'emails [type eq "x"]',
        'emails[type eq "work"].value',
        'emails[type eq "work"].value.more eq "x"',
        'emails[type eq "work"]value eq "x"',
        "active gt true",
        'active le "false"',
        "userName gt true",
        "title gt null",
        "title co null",
        'meta.created gt "yesterday"',
        'meta.created eq "2026-13-01T00:00:00Z"',
        "unknown eq 1e999",
        "unknown eq " + "9" * 5000,
        "NOT.A.FILTER@thistlegate.example",
    ],
)
def test_a_filter_that_cannot_be_read_to_its_end_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        parse_filter(text, ResourceKind.USER)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    assert refused.value.detail.endswith(".")


def test_the_refusal_says_where_and_what() -> None:
    with pytest.raises(ScimError, match=r"'xx' at position 10 instead of an operator"):
        parse_filter('userName xx "a"', ResourceKind.USER)


def test_a_disjunction_of_a_hundred_terms_passes() -> None:
    text = " or ".join(f'userName eq "person{number:03}@garden.example"' for number in range(100))
    term = parse_filter(text, ResourceKind.USER)
    assert isinstance(term, Or)
    assert len(term.terms) == 100


@pytest.mark.parametrize(
    "text",
    [
        "(" * 51 + "title pr" + ")" * 51,
        "not (" * 51 + "title pr" + ")" * 51,
        " or ".join(["id pr"] * 501),
        'userName eq "' + "x" * 8192 + '"',
        'userName eq "' + "ß" * 4096 + '"',
        "(" * 8000,
    ],
)
def test_a_filter_bomb_is_refused(text: str) -> None:
    """H-01."""
    with pytest.raises(ScimError) as refused:
        parse_filter(text, ResourceKind.USER)
    assert refused.value.scim_type == "invalidFilter"


def test_the_limits_themselves_are_allowed() -> None:
    assert parse_filter("(" * 50 + "title pr" + ")" * 50, ResourceKind.USER) == Present(name("title"))
    wide = parse_filter(" or ".join(["id pr"] * 500), ResourceKind.USER)
    assert isinstance(wide, Or)
    assert len(wide.terms) == 500
    assert holds("not (" * 50 + "title pr" + ")" * 50)


@pytest.mark.parametrize(
    ("text", "quirks"),
    [
        ('userName eq "a"', set()),
        ("userName eq a", {"E-16"}),
        ("active eq true", set()),
        ('emails[type eq "work"].value eq "x"', {"E-17"}),
        (f'{ENTERPRISE_URN}.department eq "x"', {"M-06"}),
        ("manager eq x", {"E-16", "E-20"}),
    ],
)
def test_the_leniencies_needed_are_named(text: str, quirks: set[str]) -> None:
    noted = Quirks()
    parse_filter(text, ResourceKind.USER, quirks=noted)
    assert noted == quirks


def name(text: str) -> AttributePath:
    return parse_attribute(text, ResourceKind.USER)


def test_the_tree_is_settled_for_its_walkers() -> None:
    """Canonical paths, typed values, no null, no nested joins, one value path for E-17."""
    term = parse_filter(
        '(EMAILS[TYPE eq "work"].VALUE sw "a" and (active eq "True" and title eq null))'
        " or externalId eq 0042",
        ResourceKind.USER,
    )
    assert term == Or(
        (
            And(
                (
                    ValuePath(
                        name("emails"),
                        And(
                            (
                                Comparison(name("emails.type"), Operator.EQ, "work"),
                                Comparison(name("emails.value"), Operator.SW, "a"),
                            )
                        ),
                    ),
                    Comparison(name("active"), Operator.EQ, True),
                    Not(Present(name("title"))),
                )
            ),
            Comparison(name("externalId"), Operator.EQ, "0042"),
        )
    )


def test_numbers_and_booleans_keep_their_type_next_to_unknown_attributes() -> None:
    values = [
        term.value
        for text in ("x eq 1", "x eq 1.5", "x eq -2e3", "x eq True", "x eq 01", 'x eq "1"')
        if isinstance(term := parse_filter(text, ResourceKind.USER), Comparison)
    ]
    assert [(value, type(value)) for value in values] == [
        (1, int),
        (1.5, float),
        (-2000.0, float),
        (True, bool),
        ("01", str),
        ("1", str),
    ]


def entry_filter(text: str, attribute: str = "emails") -> And | Or | Not | Comparison | Present | ValuePath:
    return parse_value_filter(text, ResourceKind.USER, name(attribute))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('type eq "work"', {"type": "work"}),
        ('TYPE eq "work" and primary eq "True"', {"type": "work", "primary": True}),
        ('type eq "work" and (value eq "x")', {"type": "work", "value": "x"}),
        ('type eq "work" and type eq "work"', {"type": "work"}),
        ('type eq "work" and type eq "home"', None),
        ('type eq "work" or value eq "x"', None),
        ('type ne "work"', None),
        ("not (primary eq true)", None),
        ("type pr", None),
    ],
)
def test_only_a_conjunction_of_equalities_describes_a_new_entry(
    text: str, terms: dict[str, Json] | None
) -> None:
    """E-04."""
    assert equality_terms(entry_filter(text)) == terms


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ('type eq "work"', {"type": "WORK"}),
        ('type eq "work"', {"Type": "work"}),
        ('value eq "x"', "X"),
        ('value eq "5"', 5),
        ("primary eq true", {"primary": "True"}),
        ('colour eq "red"', {"colour": "Red"}),
        ('type ne "home"', {"value": "x"}),
        ("type eq null", {"value": "x", "type": ""}),
    ],
)
def test_an_entry_is_selected_as_a_client_stored_it(text: str, entry: Json) -> None:
    assert matches_entry(entry_filter(text), entry)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ('type eq "work"', {"type": "home"}),
        ('type eq "work"', "work"),
        ("primary eq true", {"primary": False}),
    ],
)
def test_another_entry_is_not_selected(text: str, entry: Json) -> None:
    assert not matches_entry(entry_filter(text), entry)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-15T12:00:00Z", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2026-01-15t12:00:00.1234567z", datetime(2026, 1, 15, 12, 0, 0, 123456, UTC)),
        ("2026-01-15T14:00:00+02:00", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2026-01-15T09:30:00-0230", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2026-01-15T12:00:00", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2026-01-15T12:00Z", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2025-12-31T23:59:60Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999-01:00", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2026-02-30T00:00:00Z", None),
        ("2026-01-15T00:00:00+25:00", None),
        ("2026-01-15", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_read_as_instants(text: str, instant: datetime | None) -> None:
    """M-08."""
    assert parse_instant(text) == instant
