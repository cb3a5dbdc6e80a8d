"""Applies each event once and never an older state of something: events as lines on standard input."""

from __future__ import annotations

import json
import sys
from typing import Any

done: set[str] = set()  # in real life: two tables, written in the transaction of the work
newest: dict[str, int] = {}


def subject(event: dict[str, Any]) -> str:
    """Return whose state an event carries: a person, a group, or a person in a group."""
    data = event["data"]
    if "user" in data and "group" in data:
        return f"{data['user']['id']} in {data['group']['id']}"
    return str(data.get("id"))


def apply(event: dict[str, Any]) -> bool:
    """Tell whether the event was news."""
    sequence = event["context"].get("directory_sequence", event["context"]["sequence"])
    about = subject(event)
    if event["id"] in done or sequence < newest.get(about, 0):
        return False
    newest[about] = sequence
    done.add(event["id"])
    return True  # in real life: write data, or delete, to your own tables


for line in sys.stdin:
    received = json.loads(line)
    print("applied" if apply(received) else "skipped", received["event"])
