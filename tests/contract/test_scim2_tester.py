"""The strict third-party checker finds nothing but success."""

from __future__ import annotations

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.support.live import serving


def test_every_check_succeeds(database_url: str) -> None:
    with serving(database_url) as live:
        tenant = live.tenant("tester")
        http = httpx2.Client(
            base_url=f"{live.url}/scim/v2/{tenant.directory_key}",
            headers={"Authorization": f"Bearer {tenant.scim_token}"},
            timeout=30,
        )
        with http:
            client = SyncSCIMClient(http)
            client.discover()
            results = list(check_server(client))
    assert len(results) > 100
    assert [(r.title, r.status.name, r.reason) for r in results if r.status is not Status.SUCCESS] == []
