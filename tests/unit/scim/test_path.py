"""PATCH paths and attribute names: where they lead, and which are refused."""

from __future__ import annotations

import pytest

from syncline.core.scim.errors import ScimError
from syncline.core.scim.filter import Comparison
from syncline.core.scim.names import AttributePath, parse_attribute
from syncline.core.scim.path import parse_path
from syncline.core.scim.quirks import Quirks
from syncline.core.scim.schema import (
    CORE_V1_URN,
    ENTERPRISE_URN,
    ENTERPRISE_V1_URN,
    GROUP_URN,
    USER_URN,
    ResourceKind,
)

USER, GROUP = ResourceKind.USER, ResourceKind.GROUP


@pytest.mark.parametrize(
    ("text", "urn", "name", "sub"),
    [
        ("userName", None, "userName", None),
        (" USERNAME ", None, "userName", None),
        ("name.FAMILYNAME", None, "name", "familyName"),
        (f"{USER_URN}:name.givenName", None, "name", "givenName"),
        (f"{USER_URN}.name.givenName", None, "name", "givenName"),
        (f"{CORE_V1_URN}:title", None, "title", None),
        (f"{USER_URN.upper()}:title", None, "title", None),
        (USER_URN, USER_URN, "", None),
        (CORE_V1_URN, USER_URN, "", None),
        ("department", ENTERPRISE_URN, "department", None),
        ("MANAGER", ENTERPRISE_URN, "manager", None),
        ("manager.managerId", ENTERPRISE_URN, "manager", "value"),
        (f"{ENTERPRISE_URN}:employeeNumber", ENTERPRISE_URN, "employeeNumber", None),
        (f"{ENTERPRISE_URN}.manager.displayname", ENTERPRISE_URN, "manager", "displayName"),
        (f"{ENTERPRISE_URN.lower()}:MANAGER.$REF", ENTERPRISE_URN, "manager", "$ref"),
        (f"{ENTERPRISE_V1_URN}:manager.managerId", ENTERPRISE_URN, "manager", "value"),
        (f"{ENTERPRISE_URN}:shoeSize", ENTERPRISE_URN, "shoeSize", None),
        (ENTERPRISE_URN, ENTERPRISE_URN, "", None),
        ("favouriteTree", None, "favouriteTree", None),
        ("favouriteTree.height", None, "favouriteTree", "height"),
        ("urn:example:garden:2.0:User:tree", "urn:example:garden:2.0:User", "tree", None),
        ("urn:example:garden:2.0:User.tree", "urn:example:garden:2.0:User", "tree", None),
        ("urn:example:garden:2.0:User", "urn:example:garden:2.0:User", "", None),
        ("urn:example:garden:tree.height", "urn:example:garden", "tree", "height"),
        ("urn:okta:acme:2.0:user:custom.costPool", "urn:okta:acme:2.0:user:custom", "costPool", None),
        ("urn:okta:acme:2.0:user:custom:costPool", "urn:okta:acme:2.0:user:custom", "costPool", None),
        ("urn:okta:custom:group:1.0:description", "urn:okta:custom:group:1.0", "description", None),
        ("urn:okta:custom:group:1.0", "urn:okta:custom:group:1.0", "", None),
    ],
)
def test_a_name_leads_to_one_attribute(text: str, urn: str | None, name: str, sub: str | None) -> None:
    assert parse_attribute(text, USER) == AttributePath(urn, name, sub)


def test_a_known_name_carries_its_definition() -> None:
    path = parse_attribute("EMAILS.Primary", USER)
    assert path.attribute is not None
    assert path.attribute.multi_valued
    assert path.definition is path.attribute.sub("primary")
    assert parse_attribute("emails.colour", USER).definition is None
    assert parse_attribute("favouriteTree", USER).definition is None


def test_enterprise_names_belong_to_users_only() -> None:
    assert parse_attribute("department", GROUP) == AttributePath(None, "department")
    assert parse_attribute("members.VALUE", GROUP) == AttributePath(None, "members", "value")
    assert parse_attribute(f"{GROUP_URN}:displayName", GROUP) == AttributePath(None, "displayName")


def test_the_extensions_a_resource_carries_settle_where_a_foreign_urn_ends() -> None:
    carried = "urn:example:garden:tree"
    path = parse_attribute("URN:example:garden:tree.height", USER, extensions=[carried])
    assert path == AttributePath(carried, "height")
    assert parse_attribute(carried, USER, extensions=[carried]) == AttributePath(carried, "")


@pytest.mark.parametrize(
    ("text", "name", "sub", "has_filter"),
    [
        ("name.familyName", "name", "familyName", False),
        ("members", "members", None, False),
        ('emails[type eq "work"]', "emails", None, True),
        ('emails[type eq "work"].VALUE', "emails", "value", True),
        ('EMAILS[TYPE EQ "]."].value', "emails", "value", True),
        ("emails[type eq work].value", "emails", "value", True),
        ('roles[primary eq "True"].value', "roles", "value", True),
        (f'{USER_URN}:emails[type eq "work" or not (primary eq true)].display', "emails", "display", True),
        ('addresses[type eq "work"].streetaddress', "addresses", "streetAddress", True),
    ],
)
def test_a_path_separates_attribute_filter_and_part(
    text: str, name: str, sub: str | None, has_filter: bool
) -> None:
    path = parse_path(text, USER)
    assert (path.attribute, path.sub) == (AttributePath(None, name), sub)
    assert (path.value_filter is not None) is has_filter
    assert path.target == AttributePath(None, name, sub)


def test_a_member_is_addressed_by_id() -> None:
    """E-13, E-23."""
    path = parse_path('members[value eq "01HZX"]', GROUP)
    assert isinstance(path.value_filter, Comparison)
    assert path.value_filter.value == "01HZX"


def test_a_filter_on_an_attribute_of_a_foreign_extension_is_read() -> None:
    path = parse_path('urn:example:garden:2.0:User:trees[kind eq "oak"].height', USER)
    assert path.attribute == AttributePath("urn:example:garden:2.0:User", "trees")
    assert path.sub == "height"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "userName.",
        ".userName",
        "user name",
        "name.givenName.first",
        "emails[type eq",
        'emails[type eq "work"',
        'emails[type eq "work"]]',
        'emails[type eq "work"]value',
        'emails[type eq "work"].',
        'emails[type eq "work"].value.x',
        'emails[type eq "work"].value eq "x"',
        'emails [type eq "work"]',
        'emails.value[type eq "work"]',
        f'{ENTERPRISE_URN}[type eq "work"]',
        "emails[]",
        "emails[0].value",
        "[type eq work]",
        f"{USER_URN}:",
        f"{ENTERPRISE_URN}.",
        "urn:",
        "urn:x",
        "urn:::::",
        "urn:example:garden:",
        "a/b",
        "naïve",
        "emails[" + "(" * 51 + "type pr" + ")" * 51 + "]",
        "x" * 8193,
        'emails[value eq "' + "ß" * 4096 + '"]',
        "emails[value eq \ud800]",
        "userName\x00",
    ],
)
def test_a_broken_path_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        parse_path(text, USER)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidPath")


@pytest.mark.parametrize(
    ("text", "quirks"),
    [
        (f"{ENTERPRISE_URN}:manager", set()),
        (f"{ENTERPRISE_URN}.manager", {"M-06"}),
        ("manager", {"E-20"}),
        ("emails[type eq work]", {"E-16"}),
    ],
)
def test_the_leniencies_needed_are_named(text: str, quirks: set[str]) -> None:
    noted = Quirks()
    parse_path(text, USER, quirks=noted)
    assert noted == quirks
