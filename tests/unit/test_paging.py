"""Pages of lists: every item once on a walk, in both directions, whatever happens to the cursor's item."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.errors import ValidationFailed
from syncline.core.ids import Prefix
from syncline.core.paging import Order, Page, PageRequest, Span

IDS = st.sets(st.integers(0, 40).map("{:02}".format), max_size=20)
LIMITS = st.integers(1, 6)
ORDERS = st.sampled_from([Order.ASC, Order.DESC])


def read(ids: set[str], request: PageRequest) -> Page[str]:
    def fetch(span: Span) -> list[str]:
        found = [
            id_
            for id_ in sorted(ids, reverse=span.descending)
            if (span.above is None or id_ > span.above) and (span.below is None or id_ < span.below)
        ]
        return found[: span.limit]

    return request.read(fetch, key=lambda id_: id_)


@given(IDS, LIMITS, ORDERS)
def test_a_walk_by_after_sees_every_item_once_in_order(ids: set[str], limit: int, order: Order) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = read(ids, PageRequest(limit, order, after=cursor))
        assert page.before == (None if cursor is None else page.items[0])
        seen += page.items
        cursor = page.after
        if cursor is None:
            break
    assert seen == sorted(ids, reverse=order is Order.DESC)


@given(IDS, LIMITS, ORDERS, st.sampled_from(["00", "17", "40"]))
def test_before_gives_the_items_nearest_to_the_cursor(
    ids: set[str], limit: int, order: Order, cursor: str
) -> None:
    listed = sorted(ids, reverse=order is Order.DESC)
    earlier = [id_ for id_ in listed if (id_ > cursor) == (order is Order.DESC) and id_ != cursor]
    page = read(ids, PageRequest(limit, order, before=cursor))
    assert page.items == earlier[-limit:]
    assert page.before == (page.items[0] if len(earlier) > limit else None)
    assert page.after == (page.items[-1] if page.items and listed[-1] != page.items[-1] else None)


@given(IDS, LIMITS, ORDERS)
def test_both_cursors_bound_a_window_that_ends(ids: set[str], limit: int, order: Order) -> None:
    low, high = ("10", "30") if order is Order.ASC else ("30", "10")
    seen: list[str] = []
    cursor: str | None = low
    while cursor is not None:
        page = read(ids, PageRequest(limit, order, after=cursor, before=high))
        seen += page.items
        cursor = page.after
    assert seen == sorted((id_ for id_ in ids if "10" < id_ < "30"), reverse=order is Order.DESC)


@given(IDS, LIMITS, st.none() | st.just("20"), st.none() | st.just("20"))
def test_normal_is_newest_first_with_the_cursors_swapped(
    ids: set[str], limit: int, after: str | None, before: str | None
) -> None:
    normal = read(ids, PageRequest(limit, Order.NORMAL, after=after, before=before))
    newest_first = read(ids, PageRequest(limit, Order.DESC, after=before, before=after))
    assert normal.items == newest_first.items
    assert (normal.before, normal.after) == (newest_first.after, newest_first.before)


def test_a_cursor_is_an_id_of_the_listed_kind() -> None:
    good = "org_01KA0YPX7B9D1F3H5K7M9Q1S3T"
    assert PageRequest(after=good).of(Prefix.ORGANIZATION).after == good
    for wrong in ("org_1", good.lower(), "directory_01KA0YPX7B9D1F3H5K7M9Q1S3T", "", good + "\n"):
        with pytest.raises(ValidationFailed) as refused:
            PageRequest(after=wrong, before=wrong).of(Prefix.ORGANIZATION)
        assert [error.code for error in refused.value.errors] == ["after_invalid", "before_invalid"]
