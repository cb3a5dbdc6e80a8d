"""The oracle objects to every kind of damage: a judge that sees nothing would make every scenario green."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncline.core.signing import standard_headers, workos_signature
from tests.reliability.journals import (
    Asked,
    Outcome,
    Receipts,
    Requests,
    Value,
    read_requests,
)
from tests.reliability.oracle import DirectoryShown, Evidence, LogEntry, Subscription, verify
from tests.reliability.replay import group_register, member_register, user_register

D, E = "directory_1", "directory_2"
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBlbmRwb2ludCE="
NOW = 1_700_000_000.0
GROUP = {"id": "directory_group_1", "directory_id": D, "name": "Crew"}
UNKNOWN, YES = Outcome.UNKNOWN, Outcome.ACKNOWLEDGED


def user(name: str, title: str, directory: str = D) -> dict[str, Any]:
    id_ = f"directory_user_{name}"
    return {"id": id_, "directory_id": directory, "username": name, "job_title": title, "updated_at": title}


def history() -> list[bytes]:
    """Two directories; a person comes, joins, changes, leaves the group and goes."""
    ada = user("ada", "Planner")
    joined = {"directory_id": D, "user": ada, "group": GROUP}
    changed = user("ada", "Lead")
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("dsync.activated", D, {"id": D}),
        ("dsync.user.created", D, ada),
        ("dsync.activated", E, {"id": E}),
        ("dsync.group.created", D, GROUP),
        ("dsync.group.user_added", D, joined),
        ("dsync.user.created", E, user("ada", "Analyst", E)),
        ("dsync.user.updated", D, changed | {"previous_attributes": {"job_title": "Planner"}}),
        ("dsync.user.created", D, user("bo", "Engineer")),
        ("dsync.group.user_removed", D, joined | {"user": changed}),
        ("dsync.user.deleted", D, changed),
    ]
    numbers: dict[str, int] = {}
    events = []
    for n, (type_, directory, data) in enumerate(steps, 1):
        numbers[directory] = numbers.get(directory, 0) + 1
        context = {"sequence": n, "directory_sequence": numbers[directory]}
        body = {"object": "event", "id": f"event_{n:03}", "event": type_, "data": data, "context": context}
        events.append(json.dumps(body).encode())
    return events


def entry(raw: bytes) -> LogEntry:
    return LogEntry.of(json.loads(raw), raw)


def asked(*steps: tuple[tuple[str, ...], Value, Outcome]) -> list[Asked]:
    return [Asked(n, [(register, value)], outcome) for n, (register, value, outcome) in enumerate(steps)]


def evidence() -> Evidence:
    """What is known after a run in which nothing went wrong."""
    receipts = Receipts()
    for raw in history():
        id_ = json.loads(raw)["id"]
        headers = standard_headers([SECRET], id_, int(NOW), raw) | {
            "WorkOS-Signature": workos_signature(SECRET, int(NOW * 1000), raw),
            "Syncline-Attempt": "1",
        }
        receipts.take("/all", headers, raw, [SECRET], now=NOW)
    ada, member = user_register(D, "ada"), member_register(D, "Crew", "ada")
    log = [entry(raw) for raw in history()]
    tail = Subscription("created", types=["dsync.user.created"])
    return Evidence(
        log=log,
        asked=asked(
            (ada, "Planner", UNKNOWN),
            (ada, "Planner", YES),
            (group_register(D, "Crew"), True, YES),
            (member, True, YES),
            (member, True, YES),
            (user_register(E, "ada"), "Analyst", YES),
            (ada, "Lead", UNKNOWN),
            (user_register(D, "bo"), "Engineer", YES),
            (user_register(D, "cy"), "Engineer", UNKNOWN),
            (member, False, YES),
            (ada, None, YES),
        ),
        shown={
            D: DirectoryShown(
                users={"directory_user_bo": user("bo", "Engineer")},
                groups={GROUP["id"]: GROUP},
                members={GROUP["id"]: []},
                scim_people={"bo": "Engineer"},
                scim_groups={"Crew": []},
            )
        },
        subscriptions=[Subscription("/all")],
        receipts=receipts.all,
        tails=[([one for one in log if tail.wants(one)], tail)],
    )


def test_a_run_without_damage_has_nothing_wrong() -> None:
    assert verify(evidence()) == []


def lose(run: Evidence) -> None:
    run.log = [*run.log[:4], *run.log[5:]]


def lose_and_close_the_gap(run: Evidence) -> None:
    kept = [one for one in run.log if one.type != "dsync.group.user_added"]
    run.log = [replace(one, sequence=n) for n, one in enumerate(kept, 1)]


def lose_the_newest(run: Evidence) -> None:
    run.log = run.log[:-1]


def double(run: Evidence) -> None:
    run.log = [*run.log[:5], run.log[4], *run.log[5:]]


def double_under_another_id(run: Evidence) -> None:
    last = run.log[-1]
    more = last.directory_sequence or 0
    run.log = [*run.log, replace(last, id="event_011", sequence=11, directory_sequence=more + 1)]


def invert(run: Evidence) -> None:
    log = list(run.log)
    log[6], log[7] = log[7], log[6]
    run.log = log


def invert_the_causes(run: Evidence) -> None:
    """The numbers are dense and ascending, but the person joins before the group is there."""
    log = list(run.log)
    log[3], log[4] = (
        replace(log[4], id=log[3].id, sequence=4, directory_sequence=3),
        replace(log[3], id=log[4].id, sequence=5, directory_sequence=4),
    )
    run.log = log


def leak(run: Evidence) -> None:
    raw = history()[7].replace(b"event_008", b"event_0085")
    receipts = Receipts()
    receipts.take("/all", {}, raw, [SECRET], now=NOW)
    run.receipts = [*run.receipts, replace(receipts.all[0], refused="")]


def deliver_to_the_wrong_one(run: Evidence) -> None:
    run.subscriptions = [Subscription("/all", directories=[D])]


def never_deliver(run: Evidence) -> None:
    run.receipts = run.receipts[:-1]


def deliver_and_be_refused(run: Evidence) -> None:
    run.receipts = [*run.receipts[:-1], replace(run.receipts[-1], answered=500)]


def deliver_out_of_order(run: Evidence) -> None:
    receipts = list(run.receipts)
    receipts[6], receipts[7] = receipts[7], receipts[6]
    run.receipts = receipts


def sign_wrongly(run: Evidence) -> None:
    raw = history()[0]
    receipts = Receipts()
    headers = standard_headers([SECRET], "event_001", int(NOW), raw)
    receipts.take("/all", headers, raw, [SECRET], now=NOW)
    run.receipts = [*receipts.all, *run.receipts[1:]]


def deliver_another_body(run: Evidence) -> None:
    run.receipts = [replace(run.receipts[0], digest="another"), *run.receipts[1:]]


def acknowledge_what_never_was(run: Evidence) -> None:
    run.asked = [*run.asked, Asked(99, [(user_register(D, "cy"), "Lead")], YES)]


def acknowledge_an_update_that_never_was(run: Evidence) -> None:
    run.asked = [*run.asked, Asked(99, [(user_register(D, "bo"), "Lead")], YES)]


def write_what_was_refused(run: Evidence) -> None:
    run.asked = [replace_outcome(one, "bo", Outcome.REFUSED) for one in run.asked]


def replace_outcome(one: Asked, name: str, outcome: Outcome) -> Asked:
    register, _ = one.effects[0]
    return Asked(one.recorded, one.effects, outcome) if register[-1] == name else one


def invent(run: Evidence) -> None:
    run.asked = [one for one in run.asked if one.effects[0][0] != user_register(D, "bo")]


def tail_misses_one(run: Evidence) -> None:
    tailed, filtered = run.tails[0]
    run.tails = [(tailed[1:], filtered)]


def tail_sees_one_twice(run: Evidence) -> None:
    tailed, filtered = run.tails[0]
    run.tails = [([*tailed, tailed[-1]], filtered)]


def tail_sees_another_content(run: Evidence) -> None:
    tailed, filtered = run.tails[0]
    run.tails = [([replace(tailed[0], digest="another"), *tailed[1:]], filtered)]


def show_other_people(run: Evidence) -> None:
    run.shown = {D: replace(run.shown[D], users={})}


def show_another_title_over_scim(run: Evidence) -> None:
    run.shown = {D: replace(run.shown[D], scim_people={"bo": "Lead"})}


def show_members_that_are_not_in_the_log(run: Evidence) -> None:
    run.shown = {D: replace(run.shown[D], members={GROUP["id"]: ["directory_user_bo"]})}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lose, "event_006 has position 6 where 5 was due"),
        (lose_and_close_the_gap, "the person was no member"),
        (lose_the_newest, "event_010, which is not in the log"),
        (lose_the_newest, "('user', 'directory_1', 'ada'): asked for"),
        (double, "event_005 follows event_005"),
        (double_under_another_id, "the person was not there"),
        (invert, "event_007 follows event_008"),
        (invert_the_causes, "the group is not there"),
        (leak, "event_0085, which is not in the log"),
        (deliver_to_the_wrong_one, "event_003 (dsync.activated of directory_2), which is not for it"),
        (never_deliver, "never got event_010"),
        (deliver_and_be_refused, "never got event_010"),
        (deliver_out_of_order, "got event_007 (7) after 8 of the same directory"),
        (sign_wrongly, "got event_001 with a wrong signature"),
        (deliver_another_body, "got event_001 with another body"),
        (acknowledge_what_never_was, "'cy'): asked for"),
        (acknowledge_an_update_that_never_was, "'bo'): asked for"),
        (write_what_was_refused, "'bo'): asked for"),
        (invent, "nobody asked"),
        (tail_misses_one, "tail created never saw event_002"),
        (tail_sees_one_twice, "saw event_008 2 times"),
        (tail_sees_another_content, "saw event_002 with another content"),
        (show_other_people, "directory_user_bo is in the log and not shown"),
        (show_another_title_over_scim, "bo is 'Lead', by the log 'Engineer'"),
        (show_members_that_are_not_in_the_log, "directory_1 members"),
    ],
)
def test_damage_is_named(damage: Callable[[Evidence], None], complaint: str) -> None:
    run = evidence()
    damage(run)
    assert any(complaint in problem for problem in verify(run)), verify(run)


def test_a_request_without_an_answer_may_have_happened_or_not() -> None:
    for happened in (True, False):
        run = evidence()
        if not happened:
            run.asked = [one for one in run.asked if one.effects[0][1] != "Lead"]
            assert any("'ada'): asked for" in problem for problem in verify(run))
        else:
            assert verify(run) == []


def test_the_journal_of_requests_survives_the_test_that_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    journal = Requests(path)
    first = journal.begin([(user_register(D, "ada"), "Lead")])
    journal.end(first, YES)
    journal.begin([(member_register(D, "Crew", "ada"), True)])
    with path.open("ab") as torn:
        torn.write(b'{"n": 1, "outc')
    assert read_requests(path) == journal.asked
    assert [one.outcome for one in read_requests(path)] == [YES, UNKNOWN]
