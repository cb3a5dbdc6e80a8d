"""Verifies one webhook: body on standard input, header and secret given."""

from __future__ import annotations

import sys

from workos import WorkOSClient
from workos.common.models import DsyncUserCreated

client = WorkOSClient(api_key="sk_unused", client_id="client_any")
event = client.webhooks.verify_event(
    event_body=sys.stdin.buffer.read(),
    event_signature=sys.argv[1],
    secret=sys.argv[2],
)
if isinstance(event, DsyncUserCreated):
    print(event.event, event.data.email)
