"""Follows the event log, with the standard library: python follow_events.py"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

URL = os.environ.get("SYNCLINE_URL", "http://localhost:8000")
KEY = os.environ["SYNCLINE_API_KEY"]
# In real life: in the same transaction as what the events change.
CURSOR = Path("cursor.txt")


def page(after: str | None) -> dict[str, Any]:
    """Return the next events after a cursor, oldest first."""
    query = {"limit": "100"} | ({"after": after} if after else {})
    address = f"{URL}/events?{urllib.parse.urlencode(query)}"
    headers = {"Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def handle(event: dict[str, Any]) -> None:
    """Do the work."""
    print(event["event"], event["id"], flush=True)


def follow() -> None:
    """Deal with every event once and remember how far that got."""
    after = CURSOR.read_text() if CURSOR.exists() else None
    while True:
        try:
            events = page(after)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 410:
                raise SystemExit("The cursor has expired: read everything again.") from error
            raise
        for event in events:
            handle(event)
            after = event["id"]
            CURSOR.write_text(after)
        if len(events) < 100:
            time.sleep(1)


if __name__ == "__main__":
    follow()
