"""What an endpoint is sent next, where the room for waiting deliveries is short."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from syncline.core.circuit import Circuit
from syncline.core.endpoint_options import EndpointOptions, Ordering
from syncline.services.delivery_lanes import key_of, lane_of, slot_of
from syncline.services.delivery_sources import Sources
from syncline.services.delivery_window import Window
from syncline.store.deliveries import Claim
from syncline.store.delivery_log import End, Wanted

_NOW = datetime(2026, 1, 15, tzinfo=UTC)
_LIMIT = 3


@dataclass(frozen=True)
class Row:
    position: int
    directory_id: str = "directory_A"
    organization_id: str | None = None

    @property
    def slot(self) -> int:
        lane = lane_of(self.directory_id, self.organization_id)
        return slot_of(key_of(Ordering.NONE, lane, self.position), 2)


class NothingNew:
    """A log that ends where the endpoint is."""

    async def read(self, work: Any) -> Any:
        raise AssertionError("nothing is to be read")

    async def end(self) -> End:
        return End(100, 0)

    async def recent(self, wanted: Wanted, *, after: int, until: int, limit: int) -> list[Any] | None:
        return []


async def test_what_others_have_overtaken_is_sent_although_it_fills_the_room_itself() -> None:
    """The last event of a range waited and was done with; those before it are as many as may wait."""
    parked: list[Any] = []
    claim = Claim(
        id="we_1",
        environment_id="environment_1",
        endpoint_url="https://receiver.example/",
        events=(),
        options=EndpointOptions(ordering=Ordering.NONE, concurrency=2),
        cursor=100,
        wake=0,
        fence=1,
        circuit=Circuit(),
        failing_since=None,
        failed_attempts=0,
        last_success_at=None,
        updated_at=_NOW,
        claimed_at=_NOW,
        has_parked=False,
        has_replays=True,
    )
    sources = Sources(claim, NothingNew(), parked_limit=_LIMIT, park=parked.append, bury=parked.append)
    one_slot = [row for row in map(Row, range(1, 90)) if row.slot == 0][:_LIMIT]
    last = next(row for row in map(Row, range(one_slot[-1].position + 1, 100)) if row.slot == 1)
    sources.replay = window = Window(0, Ordering.NONE, 2, end=last.position)
    window.extend([*one_slot, last], last.position, is_at_end=True)
    overtaking = window.first({0})
    assert overtaking is not None
    window.take(overtaking)
    window.settle(overtaking)
    sent = []
    while (step := await sources.next(_NOW)) is not None:
        sent.append(step.event.position)
        sources.landed(step)
        sources.arrived(step)
    assert sent == [row.position for row in one_slot]
    assert window.is_done
    assert parked == []
