"""Schemas, discovery documents, error bodies and the catalog of quirks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from syncline.core.json import Json
from syncline.core.scim import discovery
from syncline.core.scim.discovery import Capabilities
from syncline.core.scim.errors import (
    ScimError,
    body_v1,
    body_v2,
    method_not_allowed,
    not_found,
    too_many_requests,
    unauthorized,
    uniqueness,
)
from syncline.core.scim.quirks import CATALOG, GRANTED_BY, Quirks, quirk
from syncline.core.scim.schema import (
    CORE_V1_URN,
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_URN,
    ENTERPRISE_V1_URN,
    GROUP_URN,
    USER_URN,
    AttributeType,
    ResourceKind,
    attribute,
    canonical_urn,
    enterprise_attribute,
    is_core_urn,
)
from syncline.core.text import MAX_KEY_BYTES, fold, index_key, looks_like_email

BASE = "https://sync.example/scim/v2/01HZX"
USER, GROUP = ResourceKind.USER, ResourceKind.GROUP


def walk(value: Json) -> Iterator[Json]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_attributes_are_found_in_any_letter_case() -> None:
    found = attribute(USER, "PHONENUMBERS")
    assert found is not None
    assert found.name == "phoneNumbers"
    assert found.multi_valued
    assert attribute(GROUP, "phoneNumbers") is None
    assert attribute(USER, "department") is None
    assert enterprise_attribute("Department") in ENTERPRISE_ATTRIBUTES


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("id", True),
        ("externalId", True),
        ("userName", False),
        ("emails.value", False),
        ("members.$ref", True),
    ],
)
def test_only_identifiers_and_references_are_compared_exactly(name: str, exact: bool) -> None:
    top, _, sub = name.partition(".")
    found = attribute(GROUP if top == "members" else USER, top)
    assert found is not None
    found = found.sub(sub) if sub else found
    assert found is not None
    assert found.case_exact is exact


def test_both_generations_of_urns_name_the_same_schemas() -> None:
    assert canonical_urn(ENTERPRISE_V1_URN.upper()) == ENTERPRISE_URN
    assert canonical_urn(USER_URN.lower()) == USER_URN
    assert canonical_urn("urn:example:x") is None
    assert is_core_urn(CORE_V1_URN, USER)
    assert is_core_urn(CORE_V1_URN, GROUP)
    assert not is_core_urn(GROUP_URN, USER)


def test_every_capability_is_announced_with_real_types() -> None:
    config = discovery.service_provider_config(BASE, Capabilities(bulk_max_operations=7))
    assert config["bulk"] == {"supported": True, "maxOperations": 7, "maxPayloadSize": 10485760}
    assert config["filter"] == {"supported": True, "maxResults": 1000}
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 1000,
        "cursorTimeout": 3600,
    }
    supported = {name: config[name] for name in ("patch", "sort", "etag", "changePassword")}
    assert supported == {
        "patch": {"supported": True},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "changePassword": {"supported": False},
    }
    assert config["meta"] == {
        "resourceType": "ServiceProviderConfig",
        "location": f"{BASE}/ServiceProviderConfig",
    }


def test_basic_authentication_is_announced_only_where_it_is_accepted() -> None:
    def types(capabilities: Capabilities) -> list[Json]:
        schemes = discovery.service_provider_config(BASE, capabilities)["authenticationSchemes"]
        assert isinstance(schemes, list)
        return [scheme["type"] for scheme in schemes if isinstance(scheme, dict)]

    assert types(Capabilities()) == ["oauthbearertoken"]
    assert types(Capabilities(basic_authentication=True)) == ["oauthbearertoken", "httpbasic"]


def test_resource_types_are_listed_and_readable_by_name() -> None:
    listed = discovery.resource_types(BASE)
    assert listed["totalResults"] == 2
    assert listed["Resources"] == [discovery.resource_type(BASE, name) for name in ("user", "GROUP")]
    assert discovery.resource_type(BASE, "User")["schemaExtensions"] == [
        {"schema": ENTERPRISE_URN, "required": False}
    ]


def test_schemas_are_listed_and_readable_by_urn_in_any_case() -> None:
    listed = discovery.schemas(BASE)
    assert listed["Resources"] == [
        discovery.schema(BASE, urn.upper()) for urn in (USER_URN, GROUP_URN, ENTERPRISE_URN)
    ]


@pytest.mark.parametrize("read", [discovery.schema, discovery.resource_type])
def test_an_unknown_discovery_id_is_not_found(read: object) -> None:
    assert callable(read)
    with pytest.raises(ScimError) as missing:
        read(BASE, "urn:example:nothing")
    assert missing.value.status == 404


def test_discovery_holds_no_null_and_absolute_addresses() -> None:
    documents = [
        discovery.service_provider_config(f"{BASE}/", Capabilities()),
        discovery.resource_types(BASE),
        discovery.schemas(BASE),
    ]
    for document in documents:
        for value in walk(document):
            assert value is not None
            if isinstance(value, dict) and "location" in value:
                assert str(value["location"]).startswith(f"{BASE}/")
                assert "//" not in str(value["location"]).removeprefix("https://")


def test_every_announced_attribute_spells_out_its_characteristics() -> None:
    required = {
        "name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned",
        "uniqueness",
    }  # fmt: skip
    announced = [
        value for value in walk(discovery.schemas(BASE)) if isinstance(value, dict) and "mutability" in value
    ]
    assert len(announced) > 80
    for entry in announced:
        assert required <= set(entry)
        assert (entry["type"] == AttributeType.COMPLEX) is ("subAttributes" in entry)
        assert (entry["type"] == AttributeType.REFERENCE) is ("referenceTypes" in entry)
        assert re.search(r"\.$", str(entry["description"]))


@pytest.mark.parametrize(
    ("urn", "name", "characteristics"),
    [
        (USER_URN, "userName", {"required": True, "uniqueness": "server", "caseExact": False}),
        (USER_URN, "id", {"mutability": "readOnly", "returned": "always", "caseExact": True}),
        (USER_URN, "externalId", {"mutability": "readWrite", "caseExact": True, "uniqueness": "none"}),
        (USER_URN, "password", {"mutability": "writeOnly", "returned": "never"}),
        (USER_URN, "groups", {"mutability": "readOnly", "multiValued": True}),
        (USER_URN, "x509Certificates", {"multiValued": True, "type": "complex"}),
        (GROUP_URN, "displayName", {"required": True, "uniqueness": "none"}),
        (GROUP_URN, "members", {"mutability": "readWrite", "multiValued": True}),
        (ENTERPRISE_URN, "manager", {"type": "complex", "multiValued": False}),
    ],
)
def test_announced_characteristics_are_true(urn: str, name: str, characteristics: dict[str, Json]) -> None:
    attributes = discovery.schema(BASE, urn)["attributes"]
    assert isinstance(attributes, list)
    [found] = [entry for entry in attributes if isinstance(entry, dict) and entry["name"] == name]
    assert characteristics.items() <= found.items()


def test_an_error_has_the_shape_of_its_generation() -> None:
    error = uniqueness("userName 'a' is taken by 01HZX.")
    assert body_v2(error) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "409",
        "scimType": "uniqueness",
        "detail": "userName 'a' is taken by 01HZX.",
    }
    assert body_v1(error) == {
        "Errors": [{"description": "userName 'a' is taken by 01HZX.", "code": "409"}],
        "detail": "userName 'a' is taken by 01HZX.",
    }
    assert "scimType" not in body_v2(not_found("User", "x"))


def test_an_error_names_what_the_transport_needs() -> None:
    assert unauthorized().headers == {"WWW-Authenticate": "Bearer"}
    assert method_not_allowed("HEAD", ["GET", "POST"]).headers == {"Allow": "GET, POST"}
    assert too_many_requests(3).headers == {"Retry-After": "3"}


def test_client_text_in_an_error_is_short_and_printable() -> None:
    detail = not_found("User", "\x1b[31m" + "x" * 5000).detail
    assert detail.isprintable()
    assert len(detail) < 200


def test_a_quirk_must_be_in_the_catalog() -> None:
    noted = Quirks()
    noted.note("E-05")
    assert noted == {"E-05"}
    for unknown in (noted.note, quirk):
        with pytest.raises(KeyError):
            unknown("G-01")
    assert set(GRANTED_BY) <= set(CATALOG)
    assert CATALOG["S11-6"].family == "S11"
    assert all(entry.text.endswith(".") for entry in CATALOG.values())


def test_two_spellings_of_a_text_have_one_key() -> None:
    assert fold("STRASSE") == fold("straße")
    assert fold("E\u0301cole") == fold("ÉCOLE")
    assert fold("\u0390") == fold("\u03b9\u0308\u0301")
    assert fold("admin") != fold("\u0430dmin")


def test_index_keys_are_bounded_and_still_tell_long_texts_apart() -> None:
    long = "ß" * 2000
    assert index_key("Abc") == "abc"
    assert index_key("Abc", folded=False) == "Abc"
    assert len(index_key(long).encode()) <= MAX_KEY_BYTES + 65
    assert index_key(long) != index_key(long + "a")
    assert index_key(long, folded=False) != index_key(long.upper(), folded=False)
    assert index_key(index_key(long)) != index_key(long)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ada@example.com", True),
        ("ada+x.y'z@mail.example.co", True),
        ("ädä@bücher.example", True),
        ("ada@localhost", False),
        ("ada", False),
        ("@example.com", False),
        ("ada@", False),
        ("ada@@example.com", False),
        ("ada@example..com", False),
        ("a da@example.com", False),
        ("ada@example.com ", False),
        ("n/a", False),
        ("", False),
        ("x" * 400 + "@example.com", False),
    ],
)
def test_an_address_is_told_from_other_text(text: str, answer: bool) -> None:
    assert looks_like_email(text) is answer
