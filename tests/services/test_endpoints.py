"""Webhook endpoints as owners manage them, on both engines."""

from __future__ import annotations

from datetime import timedelta

import pytest

from syncline.core.errors import Conflict, NotFound, ValidationFailed
from syncline.core.ids import Prefix, is_id
from syncline.core.model import Cause
from syncline.core.paging import Order, PageRequest
from syncline.core.wire import WebhookEndpoint
from syncline.services.endpoints import EndpointChanges, Endpoints
from syncline.services.kernel import Kernel
from syncline.store import endpoints as store
from tests.support.kernels import seed

CAUSE = Cause("request_test")
TYPES = ["dsync.user.created", "dsync.group.created"]
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def endpoints(within: Kernel) -> Endpoints:
    return Endpoints(within)


@pytest.fixture
async def environment(within: Kernel) -> str:
    return (await seed(within)).environment_id


async def test_a_new_endpoint_shows_its_secret_once(endpoints: Endpoints, environment: str) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    assert is_id(Prefix.WEBHOOK_ENDPOINT, made.id)
    assert (made.endpoint_url, made.status, made.state) == (URL, "enabled", "active")
    assert made.events == TYPES
    assert made.secret.startswith("whsec_")
    assert len(made.secret) > 40

    shown = await endpoints.get(environment, made.id)
    assert shown.secret == f"whsec_…{made.secret[-4:]}"
    assert shown.created_at == made.created_at


async def test_no_secret_is_readable_in_the_database(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    secrets = await within.database.read(
        lambda connection: store.secrets_of(connection, environment, [made.id], within.clock())
    )
    assert made.secret.removeprefix("whsec_") not in secrets[made.id][0].sealed


async def test_one_address_has_one_endpoint_per_environment(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    await endpoints.create(environment, "https://hooks.example.com/a", TYPES, CAUSE)
    for same in ("https://hooks.example.com/a", "HTTPS://Hooks.Example.COM:443/a"):
        with pytest.raises(Conflict) as refused:
            await endpoints.create(environment, same, TYPES, CAUSE)
        assert refused.value.code == "duplicate_endpoint"
    elsewhere = (await seed(within)).environment_id
    made = await endpoints.create(elsewhere, "https://hooks.example.com/a", TYPES, CAUSE)
    assert made.endpoint_url == "https://hooks.example.com/a"


async def test_an_update_cannot_take_the_address_of_another_endpoint(
    endpoints: Endpoints, environment: str
) -> None:
    await endpoints.create(environment, "https://hooks.example.com/a", TYPES, CAUSE)
    other = await endpoints.create(environment, "https://hooks.example.com/b", TYPES, CAUSE)
    with pytest.raises(Conflict):
        await endpoints.update(
            environment, other.id, EndpointChanges(endpoint_url="https://hooks.example.com/a"), CAUSE
        )
    assert (await endpoints.get(environment, other.id)).endpoint_url == "https://hooks.example.com/b"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "http://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "https://user:password@example.com/",
        "ftp://example.com/",
        "/hook",
        "",
    ],
)
async def test_an_address_no_delivery_could_use_is_refused(
    endpoints: Endpoints, environment: str, url: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await endpoints.create(environment, url, TYPES, CAUSE)
    assert refused.value.code == "invalid_url"
    assert [error.field for error in refused.value.errors] == ["endpoint_url"]


async def test_a_name_that_does_not_resolve_yet_is_accepted(endpoints: Endpoints, environment: str) -> None:
    made = await endpoints.create(environment, "https://not-there-yet.invalid/hook", TYPES, CAUSE)
    assert made.state == "active"


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([], "events_required"),
        (["dsync.user.created", "dsync.user.invented"], "events_unknown"),
        (["dsync.token.created"], "events_unknown"),
    ],
)
async def test_only_known_event_types_can_be_subscribed_to(
    endpoints: Endpoints, environment: str, events: list[str], code: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await endpoints.create(environment, URL, events, CAUSE)
    assert refused.value.code == "invalid_request_parameters"
    assert [error.code for error in refused.value.errors] == [code]


async def test_types_of_the_vendor_that_never_occur_here_are_accepted(
    endpoints: Endpoints, environment: str
) -> None:
    made = await endpoints.create(environment, URL, ["user.created", "connection.activated"], CAUSE)
    assert made.events == ["user.created", "connection.activated"]


async def test_a_status_can_be_changed_and_a_paused_endpoint_counts_as_enabled(
    endpoints: Endpoints, environment: str
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)

    async def change(*, status: str | None = None, state: str | None = None) -> tuple[str, str]:
        changes = EndpointChanges(status=status, state=state)
        shown = await endpoints.update(environment, made.id, changes, CAUSE)
        return shown.status, shown.state

    assert await change(status="disabled") == ("disabled", "disabled")
    assert await change(status="enabled") == ("enabled", "active")
    assert await change(state="paused") == ("enabled", "paused")
    assert await change(status="enabled") == ("enabled", "paused")
    assert await change(state="active") == ("enabled", "active")


@pytest.mark.parametrize(
    "changes",
    [
        EndpointChanges(status="on"),
        EndpointChanges(state="gone"),
        EndpointChanges(status="disabled", state="active"),
        EndpointChanges(events=[]),
        EndpointChanges(events=["nothing.known"]),
        EndpointChanges(endpoint_url="http://example.com/"),
    ],
)
async def test_a_refused_update_changes_nothing(
    endpoints: Endpoints, environment: str, changes: EndpointChanges
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    before = await endpoints.get(environment, made.id)
    with pytest.raises(ValidationFailed):
        await endpoints.update(environment, made.id, changes, CAUSE)
    assert await endpoints.get(environment, made.id) == before


async def test_an_update_without_a_difference_leaves_the_time_of_change(
    endpoints: Endpoints, environment: str
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    shown = await endpoints.update(
        environment, made.id, EndpointChanges(endpoint_url=URL, events=TYPES, status="enabled"), CAUSE
    )
    assert shown.updated_at == made.updated_at


async def test_another_environment_never_sees_an_endpoint(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    other = (await seed(within)).environment_id
    for foreign in (made.id, "we_00000000000000000000000000", "nonsense"):
        with pytest.raises(NotFound):
            await endpoints.get(other, foreign)
        with pytest.raises(NotFound):
            await endpoints.update(other, foreign, EndpointChanges(status="disabled"), CAUSE)
        with pytest.raises(NotFound):
            await endpoints.delete(other, foreign, CAUSE)
        with pytest.raises(NotFound):
            await endpoints.rotate_secret(other, foreign, CAUSE)
    assert (await endpoints.get(environment, made.id)).state == "active"


async def test_a_deleted_endpoint_is_gone_and_its_address_free(
    endpoints: Endpoints, environment: str
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    await endpoints.delete(environment, made.id, CAUSE)
    with pytest.raises(NotFound):
        await endpoints.get(environment, made.id)
    with pytest.raises(NotFound):
        await endpoints.delete(environment, made.id, CAUSE)
    assert (await endpoints.create(environment, URL, TYPES, CAUSE)).id != made.id


async def test_a_rotation_shows_the_new_secret_once(endpoints: Endpoints, environment: str) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    rotated = await endpoints.rotate_secret(environment, made.id, CAUSE)
    assert rotated.secret != made.secret
    assert (await endpoints.get(environment, made.id)).secret == f"whsec_…{rotated.secret[-4:]}"


async def test_at_most_three_secrets_are_in_force(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    suffixes = [made.secret[-4:]]
    for _ in range(4):
        suffixes.append((await endpoints.rotate_secret(environment, made.id, CAUSE)).secret[-4:])
    kept = await within.database.read(
        lambda connection: store.secrets_of(connection, environment, [made.id], within.clock())
    )
    assert [secret.suffix for secret in kept[made.id]] == suffixes[:1:-1]


async def test_an_overlap_out_of_range_is_refused(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    made = await endpoints.create(environment, URL, TYPES, CAUSE)
    with pytest.raises(ValidationFailed):
        await endpoints.rotate_secret(environment, made.id, CAUSE, overlap=timedelta(days=31))
    with pytest.raises(ValidationFailed):
        await endpoints.rotate_secret(environment, made.id, CAUSE, overlap=timedelta(seconds=-1))
    late = within.clock() + timedelta(hours=2)
    with pytest.raises(ValidationFailed):
        await endpoints.rotate_secret(environment, made.id, CAUSE, overlap=timedelta(hours=1), switch_at=late)
    assert (await endpoints.get(environment, made.id)).secret == f"whsec_…{made.secret[-4:]}"


async def test_a_walk_over_pages_meets_every_endpoint_of_the_environment_once(
    endpoints: Endpoints, environment: str, within: Kernel
) -> None:
    other = (await seed(within)).environment_id
    await endpoints.create(other, URL, TYPES, CAUSE)
    made = [
        (await endpoints.create(environment, f"https://hooks.example.com/{number}", TYPES, CAUSE))
        for number in range(5)
    ]
    met: list[WebhookEndpoint] = []
    after: str | None = None
    while True:
        page = await endpoints.list(environment, PageRequest(limit=2, order=Order.ASC, after=after))
        met += page.items
        if page.after is None:
            break
        after = page.after
    assert [endpoint.id for endpoint in met] == [endpoint.id for endpoint in made]
    assert [endpoint.secret for endpoint in met] == [f"whsec_…{one.secret[-4:]}" for one in made]


async def test_the_newest_endpoint_is_listed_first(endpoints: Endpoints, environment: str) -> None:
    made = [
        (await endpoints.create(environment, f"https://hooks.example.com/{number}", TYPES, CAUSE)).id
        for number in range(3)
    ]
    page = await endpoints.list(environment, PageRequest())
    assert [endpoint.id for endpoint in page.items] == made[::-1]
    with pytest.raises(ValidationFailed):
        await endpoints.list(environment, PageRequest(after="we_nonsense"))
