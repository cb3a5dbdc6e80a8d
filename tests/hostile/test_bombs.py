"""What one request may cost: whatever it asks for, it is answered before others notice."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from syncline.core.json import Json
from syncline.core.scim.patch import parse_operations, patch_user
from syncline.core.scim.schema import ResourceKind
from tests.hostile.bombs import PEOPLE, Bomb, bombs, prepared
from tests.support.databases import EngineKind
from tests.support.live import Live, Tenant, serving

# Seconds of CPU, of which the client's share and a slow, crowded machine are part: the product's own bound is
# a half, and what these requests cost without one is ten and more.
LONGEST = 6.0


@dataclass
class Target:
    """A running Syncline with a directory in it that holds much."""

    live: Live
    tenant: Tenant
    ids: dict[str, str]

    def send(self, bomb: Bomb) -> tuple[httpx.Response, float]:
        """Send a request and return its answer and the CPU seconds it took."""
        token, base = self.tenant.scim_token, f"{self.live.url}/scim/v2/{self.tenant.directory_key}/"
        if bomb.interface == "scim 1.1":
            base = base.replace("/v2/", "/v1/")
        if bomb.interface == "rest":
            token, base = self.tenant.api_key, self.live.url
        path = bomb.path
        for name, id_ in self.ids.items():
            path = path.replace(f"{{{name}}}", id_)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        begun = time.process_time()
        answer = httpx.request(bomb.method, base + path, content=bomb.body, headers=headers, timeout=30)
        return answer, time.process_time() - begun


@pytest.fixture
def target(database_url: str) -> Iterator[Target]:
    with serving(database_url) as live:
        tenant = live.tenant("bombs")
        base = f"{live.url}/scim/v2/{tenant.directory_key}"
        with httpx.Client(headers={"Authorization": f"Bearer {tenant.scim_token}"}, timeout=60) as client:
            ids = {}
            for name, collection, body in prepared():
                made = client.post(f"{base}/{collection}", json=body)
                assert made.status_code == 201, made.text
                ids[name] = made.json()["id"]
            people = [
                {
                    "method": "POST",
                    "path": "/Users",
                    "bulkId": str(n),
                    "data": {"userName": f"user{n}", "emails": [{"value": f"user{n}@x.io"}]},
                }
                for n in range(PEOPLE)
            ]
            assert client.post(f"{base}/Bulk", json={"Operations": people}).status_code == 200
        yield Target(live, tenant, ids)


def test_no_request_within_the_limits_takes_long(target: Target, engine_kind: EngineKind) -> None:
    for bomb in bombs():
        # What the rules do before the database is asked costs the same on each: once is enough.
        if engine_kind == "postgresql" and not bomb.asks:
            continue
        answer, seconds = target.send(bomb)
        assert answer.status_code < 500, bomb.name
        assert seconds < LONGEST, f"{bomb.name}: {seconds:.1f} s, answered {answer.status_code}"


def test_what_is_remembered_of_paths_does_not_grow_with_what_is_sent() -> None:
    """Paths were remembered together with every URN of the person they were for, a megabyte each time."""
    tracemalloc.start()
    try:
        for path in range(150):
            document: dict[str, Json] = {"userName": "ada", "active": True}
            document |= {f"urn:x{n}:{'y' * 1_000}": {"a": 1} for n in range(200)}
            operation: Json = {"op": "replace", "path": f"other{path}", "value": 1}
            patch_user(document, None, parse_operations({"Operations": [operation]}, ResourceKind.USER))
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()
