"""Verifies one webhook with the library of Standard Webhooks: body on standard input, headers as JSON."""

from __future__ import annotations

import json
import sys

from standardwebhooks import Webhook

headers, secret = json.loads(sys.argv[1]), sys.argv[2]
event = Webhook(secret).verify(sys.stdin.buffer.read(), headers)  # raises if it does not fit
print(event["event"], event["id"])
