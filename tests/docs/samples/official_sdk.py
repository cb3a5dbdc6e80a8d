"""Reads people and events: python official_sdk.py DIRECTORY"""

from __future__ import annotations

import os
import sys

from workos import WorkOSClient
from workos.common.models import DsyncGroupCreated

client = WorkOSClient(
    api_key=os.environ["SYNCLINE_API_KEY"],
    client_id="client_any",  # required by the SDK, not looked at
    base_url=os.environ.get("SYNCLINE_URL", "http://localhost:8000"),
)

users = client.directory_sync.list_users(directory=sys.argv[1])
for user in users.auto_paging_iter():
    print(user.state.value, user.email)

groups = client.events.list_events(events=["dsync.group.created"])
for event in groups.auto_paging_iter():
    if isinstance(event, DsyncGroupCreated):
        print(event.event, event.data.name)
