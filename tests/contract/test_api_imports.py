"""Moving in: records of files, a source that speaks the WorkOS API, old addresses, old tokens, old ids."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest

from syncline.core.model import InactiveUsers
from tests.support.databases import SqliteDatabases
from tests.support.live import Live, Tenant, eventually, serving

ORG, DIRECTORY = "org_01KA0YPX7B9D1F3H5K7M9Q1S3T", "directory_01KA0YQ2C4E6G8J0M2P4R6T8V0"
MIRA, GROUP = "directory_user_01KA0YQ2C4E6G8J0M2P4R6T8V1", "directory_group_01KA0YQ2C4E6G8J0M2P4R6T8V2"
UUID_MIRA, UUID_ROHAN = "5d0f5d3e-8f0a-4f7e-9a55-0d2f6c2c1a01", "5d0f5d3e-8f0a-4f7e-9a55-0d2f6c2c1a02"
UUID_GROUP = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
OLD_TOKEN = "a token of the old service, 32 chars".replace(" ", "-")
_CLIENT = httpx.Client(timeout=30)
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Api:
    """One tenant of a running Syncline, called with its API key."""

    live: Live
    tenant: Tenant

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        return _CLIENT.request(method, self.live.url + path, json=body, headers=headers)

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.send(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def scim(
        self, method: str, path: str, body: object = None, *, base: str, token: str = OLD_TOKEN
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return _CLIENT.request(method, f"{self.live.url}{base}{path}", json=body, headers=headers)

    def events(self) -> list[str]:
        return [event["event"] for event in self.call("GET", "/events?limit=100")["data"]]

    def told_since(self, count: int) -> list[str]:
        """Return the events after so many, up to one that is made now."""
        name = self.call("POST", "/organizations", {"name": "The last"})["name"]
        eventually(lambda: self.events()[-1] == "organization.created", f"the event of {name}")
        return self.events()[count:-1]

    def take_in(self, *records: object, first: int = 1, into: str | None = None, **options: object) -> Any:
        """Give records to an import, a new one unless it is named, and return what became of them."""
        import_id = into or self.call("POST", "/imports", {"source": "records", **options})["id"]
        return self.call("POST", f"/imports/{import_id}/records", {"first": first, "records": list(records)})

    def imported(self, import_id: str, state: str = "complete") -> Any:
        """Wait until an import has come to a state and return it."""
        path = f"/imports/{import_id}"
        eventually(lambda: self.call("GET", path)["state"] == state, f"an import that is {state}", 30)
        return self.call("GET", path)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with serving(database_url) as live:
        made = Api(live, live.tenant("target"))
        eventually(lambda: len(made.events()) == 2, "the events of the environment's beginning")
        yield made


@pytest.fixture(scope="module")
def old_live(sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(sqlite_databases.migrated(tmp_path_factory.mktemp("old"))) as live:
        yield live


@pytest.fixture
def old(old_live: Live) -> Api:
    """Another Syncline, which plays the service that is left."""
    return Api(old_live, old_live.tenant(f"source {next(_NUMBERS)}", InactiveUsers.KEEP))


@pytest.fixture
def aside(old_live: Live) -> Api:
    """A Syncline for calls that are refused before they reach a database."""
    return Api(old_live, old_live.tenant(f"aside {next(_NUMBERS)}"))


def organization(**more: object) -> dict[str, object]:
    return {"type": "organization", "id": ORG, "name": "Southwind", **more}


def directory(**more: object) -> dict[str, object]:
    return {
        "type": "directory",
        "id": DIRECTORY,
        "organization_id": ORG,
        "name": "Southwind Okta",
        "provider": "okta scim v2.0",
        **more,
    }


def person(id_: str, name: str, **more: object) -> dict[str, object]:
    resource = {"userName": f"{name}@southwind.example", "active": True}
    return {"type": "user", "id": id_, "directory_id": DIRECTORY, "resource": resource, **more}


def group(id_: str, name: str) -> dict[str, object]:
    return {"type": "group", "id": id_, "directory_id": DIRECTORY, "resource": {"displayName": name}}


def membership(group_id: str, *user_ids: str, groups: tuple[str, ...] = ()) -> dict[str, object]:
    found: dict[str, object] = {"type": "membership", "directory_id": DIRECTORY, "group_id": group_id}
    return found | {"user_ids": list(user_ids)} | ({"member_group_ids": list(groups)} if groups else {})


EVERYTHING = (
    organization(
        external_id="cust-7",
        domains=[{"domain": "southwind.example", "state": "verified"}],
        created_at="2024-02-03T04:05:06.007Z",
    ),
    directory(external_key="q7Hd2mXv9", created_at="2024-03-03T04:05:06.007Z"),
    person(MIRA, "mira", created_at="2024-04-03T04:05:06.007Z"),
    group(GROUP, "Dispatch"),
    membership(GROUP, MIRA),
)


def test_what_is_imported_keeps_its_ids_and_times_and_announces_nothing(api: Api) -> None:
    before = len(api.events())
    taken = api.take_in(*EVERYTHING)
    assert [one["outcome"] for one in taken["results"]] == ["created"] * 5
    assert taken["import"]["counts"] == {
        kind: {"created": 1} for kind in ("organizations", "directories", "users", "groups", "memberships")
    }
    owner = api.call("GET", "/organizations/external_id/cust-7")
    assert (owner["id"], owner["created_at"]) == (ORG, "2024-02-03T04:05:06.007Z")
    assert owner["domains"][0]["state"] == "verified"
    found = api.call("GET", f"/directories/{DIRECTORY}")
    assert (found["external_key"], found["state"]) == ("q7Hd2mXv9", "linked")
    mira = api.call("GET", f"/directory_users/{MIRA}")
    assert (mira["created_at"], mira["email"]) == ("2024-04-03T04:05:06.007Z", "mira@southwind.example")
    assert [one["id"] for one in mira["groups"]] == [GROUP]
    assert api.told_since(before) == []


def test_importing_again_changes_nothing(api: Api) -> None:
    api.take_in(*EVERYTHING)
    shown = api.call("GET", f"/directory_users?directory={DIRECTORY}")
    changed = person(MIRA, "mira")
    changed["resource"] = {"userName": "someone.else@southwind.example", "title": "Planner"}
    again = api.take_in(*EVERYTHING[:2], changed, *EVERYTHING[3:])
    assert [one["outcome"] for one in again["results"]] == ["unchanged"] * 5
    assert api.call("GET", f"/directory_users?directory={DIRECTORY}") == shown


def test_an_import_announces_what_it_makes_where_that_is_asked_for(api: Api) -> None:
    before = len(api.events())
    api.take_in(*EVERYTHING, events="created")
    expected = [
        "organization.created",
        "organization_domain.created",
        "dsync.activated",
        "dsync.user.created",
        "dsync.group.created",
        "dsync.group.user_added",
    ]
    eventually(lambda: api.events()[before:] == expected, "the events of an import, in order")


def test_records_are_refused_one_by_one_with_the_reason(api: Api) -> None:
    api.take_in(*EVERYTHING)
    wrong: list[tuple[object, str]] = [
        ("text", "record_invalid"),
        ({"type": "planet", "id": "x"}, "record_invalid"),
        (person(MIRA, "mira", nonsense=1), "record_invalid"),
        (person("directory_user_01KA0YQ2C4E6G8J0M2P4R6T8V9", "mira"), "uniqueness"),
        (person("u-1", "nobody", created_at="yesterday"), "created_at_invalid"),
        (person("u/1", "nobody"), "scim_id_invalid"),
        (person("u-1", "nobody", directory_id="directory_01KA0YQ2C4E6G8J0M2P4R6T8VZ"), "directory_missing"),
        ({**person("u-1", "x"), "resource": {}}, "invalidValue"),
        (membership("directory_group_01KA0YQ2C4E6G8J0M2P4R6T8VZ", MIRA), "group_missing"),
        (membership(GROUP, MIRA, "u-unknown"), "member_unknown"),
        (directory(id="d-2", organization_id="org_nobody"), "organization_missing"),
        (directory(id="d-2", provider="acme"), "provider_unknown"),
        (directory(id="d-2", provider="workday"), "type_unsupported"),
        (directory(id="d-2", membership="all"), "membership_invalid"),
        (directory(id="d-2", external_key="Q7HD2MXV9"), "external_key_taken"),
        (organization(id="o-2", external_id="cust-7"), "external_id_already_used"),
        (organization(id="o-3", domains=[{"domain": "southwind.example"}]), "domain_already_exists"),
    ]
    taken = api.take_in(*(record for record, _ in wrong))
    assert [one["code"] for one in taken["results"]] == [code for _, code in wrong]
    assert all(one["message"] for one in taken["results"])
    people = api.call("GET", f"/directory_users?directory={DIRECTORY}")["data"]
    assert [one["id"] for one in people] == [MIRA]


def test_nested_groups_come_as_they_are_and_count_as_the_directory_says(api: Api) -> None:
    events = len(api.events())
    taken = api.take_in(
        organization(),
        directory(membership="effective", bearer_tokens=[{"token": OLD_TOKEN}]),
        person(UUID_MIRA, "mira"),
        group(UUID_GROUP, "Dispatch"),
        group(GROUP, "Company"),
        membership(UUID_GROUP, UUID_MIRA, groups=(GROUP,)),
        membership(GROUP, groups=(UUID_GROUP, "g-unknown")),
        {"type": "membership", "directory_id": DIRECTORY, "group_id": GROUP},
    )
    codes = [one["code"] for one in taken["results"]]
    assert codes == [None] * 6 + ["member_unknown", "record_invalid"]
    assert taken["import"]["counts"]["memberships"] == {"created": 3, "refused": 2}
    # Inside of each other; whoever is in one of them is in both.
    for group_id in (taken["results"][3]["id"], GROUP):
        [mira] = api.call("GET", f"/directory_users?group={group_id}")["data"]
        assert mira["id"] == taken["results"][2]["id"]
    company = api.scim("GET", f"/Groups/{GROUP.rpartition('_')[2]}", base=f"/scim/v2/{DIRECTORY}").json()
    assert [(one["value"], one["type"]) for one in company["members"]] == [(UUID_GROUP, "Group")]
    again = api.take_in(membership(GROUP, groups=(UUID_GROUP,)), live=True)
    assert [one["outcome"] for one in again["results"]] == ["unchanged"]
    assert api.told_since(events) == []


def test_whoever_is_not_shown_has_no_id_yet(api: Api) -> None:
    """Where inactive people are deleted from the view, one who comes back is announced under a new id."""
    inactive = person(UUID_MIRA, "mira")
    inactive["resource"] = {"userName": "mira@southwind.example", "active": False}
    taken = api.take_in(organization(), directory(bearer_tokens=[{"token": OLD_TOKEN}]), inactive)
    assert [(one["outcome"], one["id"]) for one in taken["results"][2:]] == [("created", None)]
    change = {"Operations": [{"op": "replace", "path": "active", "value": True}]}
    base = f"/scim/v2/{DIRECTORY}"
    assert api.scim("PATCH", f"/Users/{UUID_MIRA}", change, base=base).status_code == 200
    [mira] = api.call("GET", f"/directory_users?directory={DIRECTORY}")["data"]
    again = api.take_in(inactive, live=True)
    assert [(one["outcome"], one["id"]) for one in again["results"]] == [("unchanged", mira["id"])]


def test_ids_that_others_have_are_not_taken(api: Api) -> None:
    other = Api(api.live, api.live.tenant("other"))
    api.take_in(*EVERYTHING)
    taken = other.take_in(*EVERYTHING)
    assert [one["code"] for one in taken["results"][:2]] == ["id_taken", "id_taken"]
    assert other.send("GET", f"/organizations/{ORG}").status_code == 404
    assert other.send("GET", f"/directory_users/{MIRA}").status_code == 404


def test_an_import_leaves_a_directory_alone_that_its_provider_has_reached(api: Api) -> None:
    api.take_in(*EVERYTHING[:2], person(MIRA, "mira"))
    api.call("POST", f"/directories/{DIRECTORY}/bearer_tokens", {"token": OLD_TOKEN})
    base = "/scim/v2.0/q7hd2mxv9"
    assert api.scim("DELETE", f"/Users/{MIRA.rpartition('_')[2]}", base=base).status_code == 204
    path = f"/directories/{DIRECTORY}/bearer_tokens"
    eventually(lambda: api.call("GET", path)["data"][0]["last_used_at"] is not None, "the use of a token")
    rohan = person("directory_user_01KA0YQ2C4E6G8J0M2P4R6T8V3", "rohan")
    skipped = api.take_in(person(MIRA, "mira"), rohan)
    assert [one["code"] for one in skipped["results"]] == ["directory_live"] * 2
    assert len(skipped["import"]["problems"]) == 1
    asked = api.take_in(person(MIRA, "mira"), rohan, live=True)
    # Who was deleted since stays deleted.
    assert [one["outcome"] for one in asked["results"]] == ["skipped", "created"]
    people = api.call("GET", f"/directory_users?directory={DIRECTORY}")["data"]
    assert [one["id"] for one in people] == [rohan["id"]]


def test_a_chunk_that_is_given_twice_counts_once_and_a_gap_is_refused(api: Api) -> None:
    taken = api.take_in(*EVERYTHING[:3])
    import_id = taken["import"]["id"]
    assert taken["import"]["next_record"] == 4
    again = api.take_in(*EVERYTHING[1:4], first=2, into=import_id)
    assert again["import"]["next_record"] == 5
    assert again["import"]["counts"]["directories"] == {"created": 1}
    assert again["import"]["counts"]["groups"] == {"created": 1}
    gap = api.send("POST", f"/imports/{import_id}/records", {"first": 9, "records": [organization()]})
    assert (gap.status_code, gap.json()["code"]) == (400, "records_missing")
    assert api.call("POST", f"/imports/{import_id}/finish")["state"] == "complete"
    late = api.send("POST", f"/imports/{import_id}/records", {"first": 5, "records": [organization()]})
    assert (late.status_code, late.json()["code"]) == (409, "import_state")


def test_an_import_that_makes_no_sense_is_refused(aside: Api) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"source": "files"}, "source_invalid"),
        ({"source": "records", "events": "all"}, "events_invalid"),
        ({"source": "records", "api_key": "sk_x"}, "source_invalid"),
        ({"source": "workos", "base_url": "https://old.example"}, "api_key_required"),
        ({"source": "workos", "base_url": "ftp://old.example", "api_key": "sk_x"}, "base_url_invalid"),
        ({"source": "workos", "base_url": "https://10.0.0.1", "api_key": "sk_x"}, "base_url_invalid"),
        ({"source": "records", "nonsense": 1}, "nonsense_unknown"),
    ]
    for body, code in wrong:
        refused = aside.send("POST", "/imports", body)
        assert refused.status_code == 422, body
        assert code in [one["code"] for one in refused.json()["errors"]]
    assert aside.call("GET", "/imports")["data"] == []


# Ids, addresses and tokens of another service.


def moved_in(api: Api, **more: object) -> None:
    """A directory of a service whose ids are UUIDs, with its old address and token."""
    api.take_in(
        organization(),
        directory(
            scim_aliases=["https://old.example/api/scim/v2.0/7B1C"],
            bearer_tokens=[{"token": OLD_TOKEN}],
            **more,
        ),
        person(UUID_MIRA, "mira"),
        person(UUID_ROHAN, "rohan"),
        group(UUID_GROUP, "Dispatch"),
        membership(UUID_GROUP, UUID_MIRA),
    )


def test_a_provider_goes_on_with_its_old_address_token_and_ids(api: Api) -> None:
    moved_in(api)
    base = "/api/scim/v2.0/7b1c"
    found = api.scim("GET", f"/Users/{UUID_MIRA}", base=base)
    assert found.status_code == 200, found.text
    mira = found.json()
    assert mira["id"] == UUID_MIRA
    assert mira["meta"]["location"].endswith(f"/Users/{UUID_MIRA}")
    assert [one["value"] for one in mira["groups"]] == [UUID_GROUP]
    change = {"Operations": [{"op": "replace", "path": "title", "value": "Planner"}]}
    patched = api.scim("PATCH", f"/Users/{UUID_MIRA}", change, base=base)
    assert (patched.status_code, patched.json()["id"]) == (200, UUID_MIRA)
    for operation, members in (
        ({"op": "add", "path": "members", "value": [{"value": UUID_ROHAN}]}, {UUID_MIRA, UUID_ROHAN}),
        ({"op": "remove", "path": f'members[value eq "{UUID_MIRA}"]'}, {UUID_ROHAN}),
        ({"op": "replace", "value": {"id": UUID_GROUP, "members": [{"value": UUID_MIRA}]}}, {UUID_MIRA}),
    ):
        answer = api.scim("PATCH", f"/Groups/{UUID_GROUP}", {"Operations": [operation]}, base=base)
        assert {one["value"] for one in answer.json()["members"]} == members
        assert answer.json()["id"] == UUID_GROUP
    listed = api.scim("GET", f'/Users?filter=id eq "{UUID_ROHAN}"', base=base).json()["Resources"]
    assert [one["id"] for one in listed] == [UUID_ROHAN]
    held = api.scim("GET", f'/Groups?filter=members eq "{UUID_MIRA}"', base=base).json()["Resources"]
    assert [one["id"] for one in held] == [UUID_GROUP]
    taken = api.scim("POST", "/Users", {"userName": "mira@southwind.example"}, base=base)
    assert (taken.status_code, UUID_MIRA in taken.json()["detail"]) == (409, True)
    assert api.scim("DELETE", f"/Users/{UUID_ROHAN}", base=base).status_code == 204
    gone = api.scim("GET", f"/Users/{UUID_ROHAN}", base=base)
    assert (gone.status_code, UUID_ROHAN in gone.json()["detail"]) == (404, True)


def test_ids_that_arrive_while_a_provider_writes_are_known_at_once(api: Api) -> None:
    """A write is spared the look at its directory; it must not take the directory for what it was before."""
    tenant = api.tenant
    shown = {"base": f"/scim/v2/{tenant.directory_key}", "token": tenant.scim_token}
    for name in ("early", "earlier"):
        assert api.scim("POST", "/Users", {"userName": name}, **shown).status_code == 201
    mira = person(UUID_MIRA, "mira", directory_id=tenant.directory_id)
    [taken] = api.take_in(mira, live=True)["results"]
    assert taken["outcome"] == "created"
    change = {"Operations": [{"op": "replace", "path": "title", "value": "Planner"}]}
    answers = [api.scim("PATCH", f"/Users/{UUID_MIRA}", change, **shown) for _ in range(2)]
    # Nothing is refused for good: the provider is asked to come again, once.
    assert [one.status_code for one in answers] == [503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[1].json()["id"] == UUID_MIRA


def test_the_app_sees_ids_of_our_form_that_a_repetition_does_not_change(api: Api) -> None:
    moved_in(api)
    listed = api.call("GET", "/directory_users?limit=10")["data"]
    assert {one["id"].rpartition("_")[0] for one in listed} == {"directory_user"}
    again = api.take_in(person(UUID_MIRA, "mira"), group(UUID_GROUP, "Dispatch"))
    assert [one["outcome"] for one in again["results"]] == ["unchanged", "unchanged"]
    assert again["results"][0]["id"] in {one["id"] for one in listed}
    mira = api.call("GET", f"/directory_users/{again['results'][0]['id']}")
    assert mira["username"] == "mira@southwind.example"


def test_bulk_and_search_speak_of_the_old_ids_too(api: Api) -> None:
    moved_in(api)
    base = "/api/scim/v2.0/7b1c"
    operations = [
        {"method": "PATCH", "path": f"/Users/{UUID_MIRA}", "data": {"Operations": []}},
        {"method": "DELETE", "path": f"/Users/{UUID_ROHAN}"},
    ]
    done = api.scim("POST", "/Bulk", {"Operations": operations}, base=base).json()["Operations"]
    assert [one["location"].rpartition("/")[2] for one in done] == [UUID_MIRA, UUID_ROHAN]
    found = api.scim("POST", "/.search", {"filter": 'displayName eq "Dispatch"'}, base=base).json()
    assert [one["id"] for one in found["Resources"]] == [UUID_GROUP]


def test_a_path_is_led_to_a_directory_and_taken_away_again(api: Api) -> None:
    tenant = api.tenant
    path = f"/directories/{tenant.directory_id}/scim_aliases"
    made = api.call("POST", path, {"path": "/v1/scim/scim_directory_5s7/"})
    assert made["path"] == "/v1/scim/scim_directory_5s7"
    shown = {"base": "/V1/scim/SCIM_directory_5s7", "token": tenant.scim_token}
    created = api.scim("POST", "/Users", {"userName": "mira"}, **shown)
    assert created.status_code == 201
    assert api.scim("GET", "/Users/", **shown).json()["totalResults"] == 1
    assert api.scim("GET", "/Users", base="/v1/scim/scim_directory_5s7x", token=tenant.scim_token).is_error
    assert [one["id"] for one in api.call("GET", path)["data"]] == [made["id"]]
    again = api.send("POST", path, {"path": "/V1/SCIM/scim_directory_5s7"})
    assert (again.status_code, again.json()["code"]) == (409, "scim_alias_exists")
    assert api.send("DELETE", f"{path}/{made['id']}").status_code == 204
    # What is no path of anybody is the API's to answer, which wants its own key.
    assert api.scim("GET", "/Users", **shown).status_code == 401
    assert api.send("POST", path, {"path": "/v1/scim/scim_directory_5s7"}).status_code == 201


def test_a_path_speaks_the_version_that_its_beginning_says(api: Api) -> None:
    """Below /scim/v1 and /scim/v1.1 it is 1.1, in errors as well; a `v1` elsewhere is none of SCIM."""
    tenant = api.tenant
    for number, (path, is_v1) in enumerate(
        (
            ("/scim/v1/old", True),
            ("/scim/v1.1/old", True),
            ("/v1/scim/old", False),
            ("/scim/v2/old", False),
            (f"/scim/v1.1/{tenant.directory_key}", True),
        )
    ):
        if path.endswith("/old"):
            api.call("POST", f"/directories/{tenant.directory_id}/scim_aliases", {"path": path})
        shown = {"base": path, "token": tenant.scim_token}
        made = api.scim("POST", "/Users", {"userName": f"p{number}"}, **shown)
        core = "urn:scim:schemas:core:1.0" if is_v1 else "urn:ietf:params:scim:schemas:core:2.0:User"
        assert (made.status_code, core in made.json()["schemas"]) == (201, True), path
        form = "application/json" if is_v1 else "application/scim+json"
        assert made.headers["content-type"].startswith(form)
        unknown = api.scim("GET", "/Users/nobody", **shown)
        assert (unknown.status_code, "Errors" in unknown.json()) == (404, is_v1)
        assert api.scim("GET", "/Users", base=path, token="wrong").status_code == 401


def test_a_path_that_cannot_be_led_is_refused(aside: Api) -> None:
    for path, code in (
        ("", "path_invalid"),
        ("/", "path_invalid"),
        ("scim", "path_invalid"),
        ("/a/../b", "path_invalid"),
        ("/a b", "path_invalid"),
        ("/ä", "path_invalid"),
        ("/" + "a" * 300, "path_too_long"),
        ("/directories/x", "path_reserved"),
        ("/scim/v2", "path_reserved"),
        ("/scim/v2/01KA0YQ2C4E6G8J0M2P4R6T8V0", "path_reserved"),
        ("/scim/v2.0/directory_01ka0yq2c4e6g8j0m2p4r6t8v0/x", "path_reserved"),
    ):
        refused = aside.send("POST", f"/directories/{aside.tenant.directory_id}/scim_aliases", {"path": path})
        assert refused.status_code == 422, path
        assert [one["code"] for one in refused.json()["errors"]] == [code]


def test_a_path_opens_nothing_to_the_token_of_another_directory(api: Api) -> None:
    other = Api(api.live, api.live.tenant("other"))
    for path in ("/old/scim/v2", "/scim/v2/old"):
        api.call("POST", f"/directories/{api.tenant.directory_id}/scim_aliases", {"path": path})
        refused = api.scim("GET", "/Users", base=path, token=other.tenant.scim_token)
        assert refused.status_code == 401
        assert api.scim("GET", "/Users", base=path, token=api.tenant.scim_token).status_code == 200
        taken = other.send("POST", f"/directories/{other.tenant.directory_id}/scim_aliases", {"path": path})
        assert taken.status_code == 409


def test_the_path_of_a_deleted_directory_is_free_again(api: Api) -> None:
    other = Api(api.live, api.live.tenant("other"))
    api.call("POST", f"/directories/{api.tenant.directory_id}/scim_aliases", {"path": "/old"})
    assert api.send("DELETE", f"/directories/{api.tenant.directory_id}").status_code == 202
    made = other.send("POST", f"/directories/{other.tenant.directory_id}/scim_aliases", {"path": "/old"})
    assert made.status_code == 201


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_a_token_that_is_in_use_is_taken_over_in_every_form(api: Api) -> None:
    forms: tuple[Callable[[str], dict[str, str]], ...] = (
        lambda token: {"token": token},
        lambda token: {"digest": f"sha256:{_hex(token)}"},
        lambda token: {"digest": _hex(token).upper()},
        lambda token: {"digest": f"\\x{_hex(token)}"},
        lambda token: {"digest": f"sha256:{_base64(token)}"},
        lambda token: {"digest": _base64(token).rstrip("=").replace("+", "-").replace("/", "_")},
    )
    path = f"/directories/{api.tenant.directory_id}/bearer_tokens"
    base = f"/scim/v2/{api.tenant.directory_key}"
    for number, form in enumerate(forms):
        token = f"{OLD_TOKEN}-{number}"
        made = api.send("POST", path, {**form(token), "label": "from before"})
        assert made.status_code == 201, made.text
        assert "token" not in made.json()
        assert made.json()["token_suffix"] == (token[-4:] if number == 0 else "")
        assert api.scim("GET", "/Users", base=base, token=token).status_code == 200
        again = api.send("POST", path, form(token))
        assert (again.status_code, again.json()["code"]) == (409, "bearer_token_exists")
        assert api.send("DELETE", f"{path}/{made.json()['id']}").status_code == 204
        assert api.scim("GET", "/Users", base=base, token=token).status_code == 401


def test_a_token_whose_digest_was_made_of_its_bytes_opens_too(api: Api) -> None:
    raw = bytes(range(16))
    number, digits = int.from_bytes(raw, "big"), ""
    for _ in range(25):
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    api.call(
        "POST",
        f"/directories/{api.tenant.directory_id}/bearer_tokens",
        {"digest": f"sha256:{hashlib.sha256(raw).hexdigest()}"},
    )
    base = f"/scim/v2/{api.tenant.directory_key}"
    token = f"ssoready_scim_bearer_token_{digits}"
    assert api.scim("GET", "/Users", base=base, token=token).status_code == 200
    assert api.scim("GET", "/Users", base=base, token=token[:-1] + "z").status_code == 401


def test_what_is_no_token_is_refused(aside: Api) -> None:
    for known in (
        {"token": "short"},
        {"token": " padded with spaces "},
        {"token": "x" * 600},
        {"token": OLD_TOKEN, "digest": _hex(OLD_TOKEN)},
        {"digest": "sha256:abc"},
        {"digest": "md5:" + "a" * 32},
    ):
        refused = aside.send("POST", f"/directories/{aside.tenant.directory_id}/bearer_tokens", known)
        assert refused.status_code == 422, known


# A source that speaks the WorkOS API.


def furnished(old: Api, people: int = 3) -> dict[str, Any]:
    """Fill the old service and return what it shows of its only directory."""
    tenant = old.tenant
    base = f"/scim/v2/{tenant.directory_key}"
    ids = []
    for number in range(people):
        body = {
            "userName": f"p{number}@northwind.example",
            "externalId": f"00u{number}",
            "name": {"givenName": "P", "familyName": str(number)},
            "emails": [{"value": f"p{number}@northwind.example", "primary": True, "type": "work"}],
            "title": "Planner",
            "active": number != 1,
        }
        made = old.scim("POST", "/Users", body, base=base, token=tenant.scim_token)
        ids.append(made.json()["id"])
    team = {"displayName": "Dispatch", "members": [{"value": id_} for id_ in ids]}
    assert old.scim("POST", "/Groups", team, base=base, token=tenant.scim_token).status_code == 201
    return shown(old)


def shown(api: Api) -> dict[str, Any]:
    """What an app reads that came from the old service, without the times of change."""
    found: dict[str, Any] = {
        kind: [
            {key: value for key, value in one.items() if key != "updated_at"}
            for one in api.call("GET", f"/{kind}?limit=100")["data"]
        ]
        for kind in ("organizations", "directories", "directory_users", "directory_groups")
    }
    for one in found["directory_users"]:
        for team in one["groups"]:
            del team["updated_at"]
        one["groups"].sort(key=lambda team: team["id"])
    return found


def begin(api: Api, old: Api, **more: object) -> str:
    asked = {"source": "workos", "base_url": old.live.url, "api_key": old.tenant.api_key, **more}
    return str(api.call("POST", "/imports", asked)["id"])


def test_everything_of_a_service_that_speaks_the_workos_api_moves_in(api: Api, old: Api) -> None:
    before = furnished(old)
    empty = shown(api)
    events = len(api.events())
    done = api.imported(begin(api, old))
    assert (done["problems"], done["error"]) == ([], None)
    assert done["counts"] == {
        "organizations": {"created": 1},
        "directories": {"created": 1},
        "users": {"created": 3},
        "groups": {"created": 1},
        "memberships": {"created": 3},
    }
    after = {kind: [one for one in found if one not in empty[kind]] for kind, found in shown(api).items()}
    assert after["directory_groups"] == before["directory_groups"]
    # An inactive person is kept or not as the environment here does it.
    kept = [one for one in before["directory_users"] if one["state"] == "active"]
    assert after["directory_users"] == kept
    assert [one["id"] for one in after["organizations"]] == [old.tenant.organization_id]
    assert after["directories"][0]["external_key"] == before["directories"][0]["external_key"]
    assert api.told_since(events) == []
    again = api.imported(begin(api, old))
    assert "created" not in str(again["counts"])


def test_a_source_that_refuses_the_key_is_tried_again_with_another(api: Api, old: Api) -> None:
    furnished(old, people=1)
    failed = api.imported(begin(api, old, api_key="sk_wrong_and_long_enough_to_be_one"), "failed")
    assert "401" in failed["error"]
    assert old.tenant.api_key not in str(failed)
    again = api.call("POST", f"/imports/{failed['id']}/retry", {"api_key": old.tenant.api_key})
    assert again["state"] == "running"
    assert api.imported(failed["id"])["counts"]["users"] == {"created": 1}
    late = api.send("POST", f"/imports/{failed['id']}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "import_state")


def test_only_the_directories_that_are_named_move_in(api: Api, old: Api) -> None:
    furnished(old, people=1)
    second = Api(old.live, old.tenant)
    made = second.call(
        "POST",
        "/directories",
        {
            "organization_id": old.tenant.organization_id,
            "name": "Second",
            "type": "generic scim v2.0",
        },
    )
    done = api.imported(begin(api, old, directory_ids=[made["id"]]))
    assert done["counts"] == {"organizations": {"created": 1}, "directories": {"created": 1}}
    assert api.send("GET", f"/directories/{made['id']}").status_code == 200
    assert api.send("GET", f"/directories/{old.tenant.directory_id}").status_code == 404
