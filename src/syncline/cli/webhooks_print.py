"""How webhook endpoints, their attempts and deliveries look on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncline.cli.output import Output

_HEALTH = ("lag_events", "waiting", "dead", "circuit", "success_ratio", "p95_ms", "disabled_reason")


def print_made(output: Output, endpoint: Mapping[str, Any]) -> None:
    """Print an endpoint with its secret in full, and that this is the only time."""
    print_endpoint(output, endpoint)
    if not output.as_json:
        output.remark("The secret is not shown again; `syncline webhooks rotate` makes another.")


def print_endpoint(output: Output, endpoint: Mapping[str, Any]) -> None:
    """Print an endpoint, and its health where the answer has it."""
    if output.as_json:
        output.record(endpoint)
        return
    rows = [(name, _text(endpoint[name])) for name in ("id", "endpoint_url", "state", "secret", "events")]
    for name in ("format", "ordering", "concurrency", "directory_ids", "organization_ids"):
        if endpoint.get(name) is not None:
            rows.append((name, _text(endpoint[name])))
    health = endpoint.get("health") or {}
    rows += [(name, _text(health[name])) for name in _HEALTH if health.get(name) is not None]
    output.table(rows)


def print_attempts(output: Output, found: list[dict[str, Any]]) -> None:
    """Print requests to endpoints and how they ended."""
    if output.as_json:
        for attempt in found:
            output.record(attempt)
    elif found:
        output.table(
            [
                (
                    one["started_at"],
                    one["event"],
                    one["event_id"],
                    f"attempt {one['attempt']}",
                    one["outcome"],
                    _text(one["status"] or "no answer"),
                    f"{one['duration_ms']} ms",
                    one["error"] or "",
                )
                for one in found
            ]
        )
    else:
        output.remark("Nothing was sent yet.")


def print_deliveries(output: Output, found: list[dict[str, Any]]) -> None:
    """Print events that an endpoint has not taken."""
    if output.as_json:
        for delivery in found:
            output.record(delivery)
    elif found:
        output.table(
            [
                (
                    one["event_id"],
                    one["event"],
                    one["state"],
                    f"{one['attempts']} attempts",
                    f"next {one['next_attempt_at']}" if one["next_attempt_at"] else "",
                    one["last_error"] or "",
                )
                for one in found
            ]
        )
    else:
        output.remark("The endpoint has taken everything that was sent to it.")


def print_count(output: Output, queued: Mapping[str, Any], what: str) -> None:
    """Print how many deliveries a call was about."""
    if output.as_json:
        output.record(queued)
    else:
        output.line(f"{queued['count']} deliveries are {what}.")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
