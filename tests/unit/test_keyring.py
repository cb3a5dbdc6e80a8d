"""Sealed values open in their place only, and keys can be changed without losing one."""

from __future__ import annotations

import base64
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.services.keyring import Keyring, SealBroken, digest, place, same

RING = Keyring.from_secret("the first secret key of this test")
PLACE = place("webhook_endpoints", "we_01", "secret")
ELSEWHERE = [
    place("webhook_endpoints", "we_02", "secret"),
    place("webhook_endpoints", "we_01", "url"),
    place("directories", "we_01", "secret"),
    "",
]


class TestSealing:
    @given(st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=40))
    def test_what_was_sealed_opens_in_its_place(self, plaintext: bytes, context: str) -> None:
        sealed = RING.seal(plaintext, context)
        assert RING.open(sealed, context) == plaintext
        assert sealed.isascii()
        assert not any(character.isspace() for character in sealed)

    def test_nothing_of_the_value_shows(self) -> None:
        sealed = RING.seal(b"whsec_very-telling-text", PLACE)
        assert b"telling" not in base64.urlsafe_b64decode(sealed.rpartition(".")[2])
        assert "telling" not in sealed

    def test_the_same_value_never_looks_the_same(self) -> None:
        assert len({RING.seal(b"value", PLACE) for _ in range(50)}) == 50

    @pytest.mark.parametrize("elsewhere", ELSEWHERE)
    def test_a_value_moved_to_another_place_does_not_open(self, elsewhere: str) -> None:
        with pytest.raises(SealBroken):
            RING.open(RING.seal(b"value", PLACE), elsewhere)

    def test_places_are_never_confused(self) -> None:
        parts = ["", "a", "/", "a/b", "1:a", "a/1:b"]
        places = [place(*names) for names in itertools.product(parts, repeat=3)]
        assert len(set(places)) == len(places)

    def test_a_change_of_any_byte_is_noticed(self) -> None:
        head, _, text = RING.seal(b"value", PLACE).rpartition(".")
        raw = base64.urlsafe_b64decode(text)
        for position in range(len(raw)):
            changed = bytearray(raw)
            changed[position] ^= 1
            with pytest.raises(SealBroken):
                RING.open(f"{head}.{base64.urlsafe_b64encode(changed).decode()}", PLACE)

    def test_the_parts_of_two_values_cannot_be_mixed(self) -> None:
        head, _, one = RING.seal(b"value one", PLACE).rpartition(".")
        other = base64.urlsafe_b64decode(RING.seal(b"value two", PLACE).rpartition(".")[2])
        mixed = base64.urlsafe_b64decode(one)[:60] + other[60:]
        with pytest.raises(SealBroken):
            RING.open(f"{head}.{base64.urlsafe_b64encode(mixed).decode()}", PLACE)

    @given(st.text(max_size=80))
    def test_any_other_text_does_not_open(self, text: str) -> None:
        key_id = RING.seal(b"", PLACE).split(".")[1]
        for sealed in (text, f"s1.{text}", f"s1.{key_id}.{text}"):
            with pytest.raises(SealBroken):
                RING.open(sealed, PLACE)

    def test_randomness_comes_from_the_source_that_was_passed(self) -> None:
        counter = itertools.count()
        rings = [Keyring.from_secret("key", random_bytes=lambda count: bytes([7]) * count) for _ in range(2)]
        assert rings[0].seal(b"value", PLACE) == rings[1].seal(b"value", PLACE)
        counting = Keyring.from_secret("key", random_bytes=lambda count: next(counter).to_bytes(count, "big"))
        assert counting.seal(b"value", PLACE) != counting.seal(b"value", PLACE)


class TestRotation:
    def test_values_of_previous_keys_open_and_move_to_the_current_one(self) -> None:
        sealed = Keyring.from_secret("oldest").seal(b"value", PLACE)
        ring = Keyring.from_secret("newest", ["middle", "oldest"])
        assert ring.open(sealed, PLACE) == b"value"
        assert not ring.is_current(sealed)
        moved = ring.reseal(sealed, PLACE)
        assert ring.is_current(moved)
        assert Keyring.from_secret("newest").open(moved, PLACE) == b"value"

    def test_a_value_of_a_key_that_is_gone_does_not_open(self) -> None:
        sealed = Keyring.from_secret("gone").seal(b"value", PLACE)
        ring = Keyring.from_secret("newest", ["other"])
        with pytest.raises(SealBroken):
            ring.open(sealed, PLACE)
        with pytest.raises(SealBroken):
            ring.reseal(sealed, PLACE)

    def test_a_damaged_value_is_not_carried_over(self) -> None:
        old = Keyring.from_secret("old")
        head, _, text = old.seal(b"value", PLACE).rpartition(".")
        raw = bytearray(base64.urlsafe_b64decode(text))
        raw[-1] ^= 1
        with pytest.raises(SealBroken):
            Keyring.from_secret("new", ["old"]).reseal(
                f"{head}.{base64.urlsafe_b64encode(raw).decode()}", PLACE
            )

    @pytest.mark.parametrize(("current", "previous"), [("", []), ("key", [""])])
    def test_an_empty_key_is_an_error(self, current: str, previous: list[str]) -> None:
        with pytest.raises(ValueError, match="empty"):
            Keyring.from_secret(current, previous)


def test_tokens_are_stored_as_their_sha256() -> None:
    assert digest("scim_abc") == hashlib.sha256(b"scim_abc").hexdigest()


def test_secrets_are_compared_also_when_they_are_not_ascii() -> None:
    assert same("tökén", "tökén")
    assert not same("tökén", "token")
