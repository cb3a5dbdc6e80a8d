"""Lists of addresses and numbers have one form, whatever a provider makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.core.attribute_lists import as_address, as_addresses, as_emails, as_phone_numbers

NOTHING: list[Any] = [None, "", [], {}, [None, ""], [{}], [{"type": "work"}], [["a", "b"]], {"primary": True}]


def mail(value: str, type_: str | None = None, primary: bool = False) -> dict[str, Any]:
    return {"primary": primary, "type": type_, "value": value}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ([{"value": "a@x.example", "type": "work", "primary": "True", "display": "A"}], [("work", True)]),
        ([{"address": "a@x.example", "customType": "c"}], [(None, False)]),
        ({"email": "a@x.example"}, [(None, True)]),
        ({"email": "a@x.example", "primary": False}, [(None, False)]),
        (" a@x.example ", [(None, True)]),
        (["a@x.example"], [(None, False)]),
    ],
)
def test_an_entry_says_what_it_has_in_one_form(given: Any, value: list[tuple[str | None, bool]]) -> None:
    assert as_emails(given) == [mail("a@x.example", type_, primary) for type_, primary in value]


def test_a_bare_address_that_is_there_is_left_out_and_may_say_which_is_primary() -> None:
    given: Any = [
        {"value": "A@x.example", "type": "home"},
        "smtp:b@x.example",
        "SMTP:a@X.example",
        "b@x.example",
    ]
    assert as_emails(given) == [mail("A@x.example", "home", True), mail("b@x.example")]
    assert as_emails(["X400:c=US", "sip:a@x.example", "smtp:nobody"]) is None
    # Entries are kept as they are, even twice.
    twice: Any = [mail("a@x.example", "home"), mail("a@x.example", "work")]
    assert as_emails(twice) == twice


def test_phone_numbers_and_addresses_have_every_part() -> None:
    assert as_phone_numbers(["+49 1", {"value": 49, "type": "work", "display": "49"}]) == [
        {"value": "+49 1", "display": None, "type": None, "primary": False},
        {"value": "49", "display": "49", "type": "work", "primary": False},
    ]
    parts = ("street_address", "locality", "region", "postal_code", "country", "raw_address")
    nothing: dict[str, Any] = dict.fromkeys(parts)
    whole = {"type": None, **nothing, "raw_address": "Quay 7, Bremen", "primary": True}
    assert as_addresses("Quay 7, Bremen") == [whole]
    given: Any = [{"streetAddress": "Quay 7", "postalCode": 28195, "formatted": "Q", "poBox": "1"}]
    assert as_addresses(given) == [
        {"type": None, **nothing}
        | {"street_address": "Quay 7", "postal_code": "28195", "raw_address": "Q", "primary": False}
    ]


@pytest.mark.parametrize("given", NOTHING)
def test_what_says_nothing_is_no_entry(given: Any) -> None:
    for read in (as_emails, as_phone_numbers, as_addresses, as_address):
        assert read(given) is None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (" a@x.example ", "a@x.example"),
        ("no address", None),
        (
            [mail("a@x.example"), mail("b@x.example", "Work"), mail("c@x.example", "home", True)],
            "c@x.example",
        ),
        ([mail("a@x.example"), mail("b@x.example", "Work")], "b@x.example"),
        ([mail("none"), mail("a@x.example"), mail("b@x.example")], "a@x.example"),
        ([mail("none", "work", True), mail("a@x.example")], "a@x.example"),
        (["smtp:a@x.example", "SMTP:b@x.example"], "b@x.example"),
    ],
)
def test_of_several_addresses_the_same_is_chosen_everywhere(given: Any, value: str | None) -> None:
    assert as_address(given) == value
