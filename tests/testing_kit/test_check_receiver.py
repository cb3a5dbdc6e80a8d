"""The kit finds a safe receiver safe, and of an unsafe one exactly the fault that it has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from typer.testing import CliRunner

from syncline.cli import app
from syncline.cli.client import CommandFailed
from syncline.testing.consumer import NAMES, Options, Report, check
from syncline.testing.consumer_play import StateUnreadable
from tests.testing_kit import receivers
from tests.testing_kit.receivers import NEW_SECRET, SECRET, SafeReceiver, running


async def judge(receiver: SafeReceiver, **options: object) -> Report:
    quick = {"settle": 0.1, "patience": 0.3, "timeout": 5.0, "new_secret": NEW_SECRET}
    made = Options(restart=receiver.restart, **(quick | options))  # type: ignore[arg-type]
    async with running(receiver):
        return await check(f"{receiver.url}/hooks", SECRET, state=receiver.state, options=made)


async def test_a_safe_receiver_passes_everything() -> None:
    report = await judge(SafeReceiver())
    assert report.failures == []
    assert [result.name for result in report.results] == list(NAMES)
    assert {result.outcome for result in report.results} == {"passed"}
    assert {result.note for result in report.results} == {""}
    assert report.compared


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        (receivers.DropsEvents, "delivery", "must be there and is not"),
        (receivers.BelievesEverybody, "bad-signature", "signed with another secret"),
        (receivers.HasNoClock, "stale-timestamp", "an hour old"),
        (receivers.CountsTwice, "duplicates", "2 times"),
        (receivers.ComplainsTwice, "duplicates", "answered 409"),
        (receivers.AppliesOldOnes, "late-retries", "job_title"),
        (receivers.ForgetsAtRestart, "restart", "2 times"),
        (receivers.RemembersTooEarly, "restart", "is 0 times"),
        (receivers.ReadsOneSignature, "secret-rollover", "answered 401"),
        (receivers.BelievesInOneLine, "directories", "must be there and is not"),
        (receivers.KnowsAllTypes, "unknown-type", "answered 422"),
        (receivers.TakesSmallBodies, "big-body", "answered 413"),
        (receivers.WritesBodiesAgain, "non-ascii", "answered 401"),
        (receivers.WritesTextBadly, "non-ascii", "must be"),
        (receivers.WantsNews, "delayed", "answered 400"),
        (receivers.WorksFirst, "answer-time", "slowest answer"),
    ],
)
async def test_an_unsafe_receiver_fails_the_check_that_names_its_fault(
    kind: type[SafeReceiver], fault: str, words: str
) -> None:
    receiver = kind()
    if kind is receivers.ReadsOneSignature:
        # It knows the secret that is in force, and the newest signature is of the next one.
        receiver.secrets = [SECRET]
    report = await judge(receiver)
    assert report.failures == [fault], report.text()
    [failed] = [result for result in report.results if result.outcome == "failed"]
    assert words in failed.problem
    assert failed.remedy
    assert failed.problem in report.text()


async def test_a_receiver_that_does_not_know_the_next_secret_fails_at_the_rollover() -> None:
    receiver = SafeReceiver()
    receiver.secrets = [SECRET]
    report = await judge(receiver)
    assert report.failures == ["secret-rollover"]
    assert "Make the new secret known" in report.text()


async def test_what_was_not_played_is_said() -> None:
    receiver = SafeReceiver()
    receiver.secrets = [SECRET]
    async with running(receiver):
        report = await check(f"{receiver.url}/hooks", SECRET)
    assert report.passed
    assert not report.compared
    notes = {result.name: result.note for result in report.results if result.note}
    assert set(notes) == {"restart", "secret-rollover"}


async def test_without_a_state_the_answers_alone_are_judged() -> None:
    async with running(receivers.AppliesOldOnes()) as blind, running(receivers.ComplainsTwice()) as seen:
        assert (await check(f"{blind.url}/hooks", SECRET)).passed
        assert (await check(f"{seen.url}/hooks", SECRET)).failures == ["duplicates"]


async def test_a_receiver_that_is_not_there_fails_once_and_the_rest_is_skipped(unused_port: int) -> None:
    report = await check(f"http://127.0.0.1:{unused_port}/", SECRET)
    assert report.failures == ["delivery"]
    assert "could not be reached" in report.results[0].problem
    assert {result.outcome for result in report.results[1:]} == {"skipped"}


async def test_a_chosen_check_brings_those_it_needs() -> None:
    report = await judge(SafeReceiver(), only=["stale-timestamp"])
    assert [result.name for result in report.results] == ["delivery", "bad-signature", "stale-timestamp"]


async def test_a_state_in_another_form_is_an_error_and_no_verdict() -> None:
    async with running(SafeReceiver()) as receiver:
        with pytest.raises(StateUnreadable, match="no list 'memberships'"):
            await check(f"{receiver.url}/hooks", SECRET, state=lambda: {"users": []})
        with pytest.raises(StateUnreadable, match="404"):
            await check(f"{receiver.url}/hooks", SECRET, state=f"{receiver.url}/nowhere")


@pytest.mark.parametrize(
    ("secret", "options"),
    [("no secret", Options()), (SECRET, Options(new_secret="old")), (SECRET, Options(only=["nothing"]))],
)
async def test_what_cannot_be_played_is_an_error(secret: str, options: Options) -> None:
    with pytest.raises(ValueError, match=r"whsec_|no check"):
        await check("http://127.0.0.1:1/", secret, options=options)


@contextmanager
def in_a_thread(receiver: SafeReceiver) -> Iterator[SafeReceiver]:
    """Serve a receiver beside a command, which has an event loop of its own."""
    loop = asyncio.new_event_loop()
    serving = running(receiver)
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
        yield receiver
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def command(receiver: SafeReceiver, *words: str) -> tuple[int, str]:
    with in_a_thread(receiver):
        given = ["check-receiver", f"{receiver.url}/hooks", "--secret", SECRET, "--settle", "0.1"]
        result = CliRunner().invoke(app, [*given, "--state", f"{receiver.url}/state", *words])
    if isinstance(result.exception, CommandFailed):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_ends_with_0_for_a_safe_receiver_and_prints_a_line_for_each_check() -> None:
    code, printed = command(SafeReceiver())
    assert code == 0
    assert [line.split()[1].rstrip(":") for line in printed.splitlines() if line.startswith("ok")] == [*NAMES]
    assert printed.splitlines()[-1] == f"{len(NAMES)} checks, 0 failed"
    assert "\x1b" not in printed


def test_the_command_ends_with_1_for_an_unsafe_one_and_says_why_and_what_to_do() -> None:
    code, printed = command(receivers.KnowsAllTypes(), "--only", "unknown-type")
    assert code == 1
    assert "FAIL  unknown-type" in printed
    assert "answered 422 to dsync.something.happened" in printed
    assert "ignore it" in printed


def test_the_command_prints_json() -> None:
    code, printed = command(receivers.KnowsAllTypes(), "--only", "unknown-type", "--json")
    report = json.loads(printed)
    assert (code, report["passed"], report["compared"]) == (1, False, True)
    assert [one["outcome"] for one in report["checks"]] == ["passed", "failed"]


def test_the_command_refuses_what_it_cannot_play_with_2() -> None:
    with pytest.raises(CommandFailed, match="no check 'nothing'") as refused:
        command(SafeReceiver(), "--only", "nothing")
    assert refused.value.code == 2
