"""The sequential model objects to lost and invented updates of concurrent clients, and to nothing else."""

from __future__ import annotations

from tests.reliability.journals import Register, Value
from tests.reliability.linear import Act, Timeline, check

ADA, CREW, MEMBER = ("user", "d", "ada"), ("group", "d", "crew"), ("member", "d", "crew", "ada")
BASE: dict[Register, list[tuple[float, Value]]] = {ADA: [(1.0, "Lead")], CREW: [(1.1, True)]}
MAKERS = [Act({ADA: "Lead", CREW: True}, 0.9, ended=1.2, acknowledged=True)]


def complaints(*acts: Act, **changes: list[tuple[float, Value]]) -> list[str]:
    timeline = Timeline(BASE | ({MEMBER: changes["member"]} if changes else {}))
    return list(check([*MAKERS, *acts], timeline))


def test_an_addition_and_a_removal_at_once_may_end_either_way() -> None:
    add = Act({MEMBER: True}, 2.0, ended=2.5, acknowledged=True)
    remove = Act({MEMBER: False}, 2.1, ended=2.4, acknowledged=True)
    assert complaints(add, remove, member=[(2.2, True)]) == []
    assert complaints(add, remove, member=[(2.2, True), (2.3, False)]) == []


def test_an_acknowledged_addition_that_never_held_is_a_lost_update() -> None:
    assert complaints(Act({MEMBER: True}, 2.0, ended=2.5, acknowledged=True)) == [
        f"{MEMBER} was acknowledged as True, and held only {{None}} meanwhile"
    ]


def test_a_change_that_comes_after_the_answer_is_wrong_twice() -> None:
    late = complaints(Act({MEMBER: True}, 2.0, ended=2.5, acknowledged=True), member=[(3.0, True)])
    assert len(late) == 2


def test_a_change_that_nobody_asked_for_is_named() -> None:
    assert complaints(member=[(2.0, True)]) == [
        f"{MEMBER} became True at 2.000, and no request of that time asks for it"
    ]
    refused = Act({MEMBER: True}, 1.9, ended=2.1, refused=True)
    assert len(complaints(refused, member=[(2.0, True)])) == 1


def test_a_replaced_group_explains_the_removal_of_everybody_it_does_not_name() -> None:
    add = Act({MEMBER: True}, 2.0, ended=2.1, acknowledged=True)
    put = Act({}, 2.9, ("member", "d", "crew"), ended=3.1, acknowledged=True)
    assert complaints(add, put, member=[(2.05, True), (3.0, False)]) == []


def test_a_member_who_is_not_there_may_be_added_without_an_event() -> None:
    absent = ("member", "d", "crew", "bo")
    assert complaints(Act({absent: True}, 2.0, ended=2.5, acknowledged=True)) == []


def test_what_is_decided_but_not_committed_yet_need_not_be_seen() -> None:
    """A removal that takes long to commit, and beside it an addition that finds the member still there."""
    add = Act({MEMBER: True}, 2.0, ended=2.1, acknowledged=True)
    remove = Act({MEMBER: False}, 2.9, ended=3.5, acknowledged=True)
    again = Act({MEMBER: True}, 3.1, ended=3.2, acknowledged=True)
    assert complaints(add, remove, again, member=[(2.05, True), (3.0, False)]) == []
    later = Act({MEMBER: True}, 3.6, ended=3.7, acknowledged=True)
    assert len(complaints(add, remove, later, member=[(2.05, True), (3.0, False)])) == 1


def test_a_request_without_an_answer_may_take_effect_much_later() -> None:
    assert complaints(Act({MEMBER: True}, 2.0), member=[(9.0, True)]) == []
