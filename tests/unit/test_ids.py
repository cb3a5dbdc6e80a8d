"""Ids sort by time, say what they belong to, and never repeat or go back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid_transform import bytes_to_ulid

from syncline.core.ids import (
    MAX_TIME_MS,
    RANDOMNESS_BYTES,
    Prefix,
    bare,
    is_id,
    is_ulid,
    make_id,
    new_ulid,
    ulid_bytes,
    ulid_of,
    ulid_time_ms,
)
from syncline.services.idsource import IdSource

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
RANDOMNESS = st.binary(min_size=RANDOMNESS_BYTES, max_size=RANDOMNESS_BYTES)
TIMES = st.integers(0, MAX_TIME_MS)


class TestUlids:
    @given(TIMES, RANDOMNESS)
    def test_a_ulid_is_what_other_implementations_make_of_the_same_bytes(
        self, at_ms: int, randomness: bytes
    ) -> None:
        assert new_ulid(at_ms, randomness) == bytes_to_ulid(at_ms.to_bytes(6, "big") + randomness)

    @given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
    def test_the_bytes_of_a_ulid_lead_back_to_it_and_sort_as_it_does(self, one: bytes, other: bytes) -> None:
        texts = [ulid_of(one), ulid_of(other)]
        assert [ulid_bytes(text) for text in texts] == [one, other]
        assert (texts[0] < texts[1]) == (one < other)

    @pytest.mark.parametrize("text", ["", "event_01KA0YPX7B9D1F3H5K7M9Q1S3T", "8" * 26, "0" * 25, "u" * 26])
    def test_what_is_no_ulid_has_no_bytes(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a ULID"):
            ulid_bytes(text)

    @pytest.mark.parametrize("length", [0, 15, 17])
    def test_another_number_of_bytes_is_no_ulid(self, length: int) -> None:
        with pytest.raises(ValueError, match="16"):
            ulid_of(bytes(length))

    @given(TIMES, RANDOMNESS)
    def test_the_time_can_be_read_back(self, at_ms: int, randomness: bytes) -> None:
        assert ulid_time_ms(new_ulid(at_ms, randomness)) == at_ms

    @given(st.lists(st.tuples(TIMES, RANDOMNESS), min_size=2, max_size=20))
    def test_text_order_is_time_order(self, parts: list[tuple[int, bytes]]) -> None:
        assert sorted(new_ulid(*part) for part in parts) == [new_ulid(*part) for part in sorted(parts)]

    @pytest.mark.parametrize(("at_ms", "count"), [(-1, 10), (MAX_TIME_MS + 1, 10), (0, 9), (0, 11)])
    def test_what_does_not_fit_is_an_error(self, at_ms: int, count: int) -> None:
        with pytest.raises(ValueError, match="ULID"):
            new_ulid(at_ms, bytes(count))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0" * 25,
            "0" * 27,
            "8" + "0" * 25,
            "I" * 26,
            "0" * 25 + "l",
            "01arz3ndektsv4rrffq69g5fav",
            "0" * 25 + "٣",
        ],
    )
    def test_other_texts_are_no_ulids(self, text: str) -> None:
        assert not is_ulid(text)
        with pytest.raises(ValueError, match="ULID"):
            ulid_time_ms(text)


class TestIds:
    def test_an_id_names_its_kind_and_nothing_else(self) -> None:
        ulid = new_ulid(1, bytes(10))
        for prefix in Prefix:
            for other in Prefix:
                assert is_id(other, make_id(prefix, ulid)) == (prefix is other)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "directory",
            "directory_",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "directory_01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
            "Directory_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "directory__01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ],
    )
    def test_other_texts_are_no_ids(self, text: str) -> None:
        assert not is_id(Prefix.DIRECTORY, text)

    @given(st.sampled_from(Prefix), TIMES, RANDOMNESS)
    def test_the_prefix_can_be_taken_off(self, prefix: Prefix, at_ms: int, randomness: bytes) -> None:
        ulid = new_ulid(at_ms, randomness)
        assert bare(make_id(prefix, ulid)) == ulid
        assert bare(ulid) == ulid


class TestIdSource:
    def test_ids_ascend_while_the_clock_stands_still(self) -> None:
        source = IdSource(lambda: NOON, lambda count: b"\xfe" * count)
        ids = [source.ulid() for _ in range(1000)]
        assert ids == sorted(set(ids))

    def test_ids_ascend_when_the_clock_steps_back_and_forth(self) -> None:
        offsets = iter([0, 5, -3_600_000, 4, 5, 6, 1, 600_000, 0])
        source = IdSource(lambda: NOON + timedelta(milliseconds=next(offsets)), lambda count: b"\x80" * count)
        ids = [source.ulid() for _ in range(9)]
        assert ids == sorted(set(ids))

    def test_a_millisecond_whose_randomness_is_used_up_is_left(self) -> None:
        source = IdSource(lambda: NOON, lambda count: b"\xff" * count)
        first, second = source.ulid(), source.ulid()
        assert ulid_time_ms(second) == ulid_time_ms(first) + 1

    def test_an_id_carries_the_time_of_the_clock(self) -> None:
        source = IdSource(lambda: NOON + timedelta(microseconds=1999), lambda count: bytes(count))
        made = source.new(Prefix.EVENT)
        assert is_id(Prefix.EVENT, made)
        assert ulid_time_ms(bare(made)) == int(NOON.timestamp()) * 1000 + 1

    def test_threads_never_get_the_same_id(self) -> None:
        source = IdSource(lambda: NOON, lambda count: bytes(count))
        made: list[str] = []
        threads = [
            threading.Thread(target=lambda: made.extend([source.ulid() for _ in range(2000)]))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(made)) == 8000
