"""R12: an identity provider that repeats its requests and loses answers."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from tests.reliability.journals import Register, Requests
from tests.reliability.load import Actor, Directory, Pushing
from tests.reliability.registry import Context, Result, scenario
from tests.reliability.replay import Replay
from tests.reliability.rig import Load, Rig, rig, summary

_LOST_ANSWERS = 0.1
_MOST_TIMES = 3


class Stuttering(Pushing):
    """Sends each request one to three times and loses a tenth of the answers."""

    def __init__(self, stage: Rig, requests: Requests) -> None:
        super().__init__(stage.session, stage.urls, requests)
        self._dice = random.Random(stage.context.seed)
        self.repeated = 0
        self.lost = 0

    async def _once(
        self,
        directory: Directory,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
    ) -> tuple[int | None, dict[str, Any]]:
        times = 1 if method == "GET" else self._dice.randint(1, _MOST_TIMES)
        answers = []
        for _ in range(times):
            answers.append(await super()._once(directory, method, path, body, params))
        self.repeated += times - 1
        if self._dice.random() < _LOST_ANSWERS:
            self.lost += 1
            return None, {}
        # A provider that sent it twice by mistake has the first answer and does not wait for the others.
        return answers[0]


@scenario(
    "R12",
    "the provider repeats each request 1 to 3 times and loses a tenth of the answers",
    gate="final state and event multiset of the clean run",
)
async def stutter(context: Context) -> Result:
    """Make the same steps in two directories, once cleanly and once stuttering, and compare."""
    steps = context.pick(short=60, full=3000)
    async with rig(context) as stage:
        await stage.start_usual(workers=1)
        await stage.make_directories(2)
        await stage.subscribe()
        load = Load(stage, actors=1)
        stuttering = Stuttering(stage, stage.requests)
        seed = str(context.seed)
        load.pushings[1] = stuttering
        load.actors[:] = [
            Actor(pushing, directory, 0, seed)
            for pushing, directory in zip(load.pushings, stage.directories, strict=True)
        ]
        await load.prepare()
        load.start(steps=steps)
        tally = await load.finish()
        problems, evidence = await stage.judge(load.tails)
        replay = Replay.of(evidence.log)
        clean, other = (directory.id for directory in stage.directories)
        if replay.directories[clean].names() != replay.directories[other].names():
            problems.append("the directories are not alike in the end")
        of_clean, of_other = (_multiset(replay, id_) for id_ in (clean, other))
        problems += [f"clean run only: {one}, {count} times" for one, count in (of_clean - of_other).items()]
        problems += [
            f"stuttering run only: {one}, {count} times" for one, count in (of_other - of_clean).items()
        ]
        return Result.judged(
            f"{steps} steps twice, {stuttering.repeated} repetitions, {stuttering.lost} lost answers: "
            f"{len(problems)} differences",
            problems + tally.wrong,
            repetitions=stuttering.repeated,
            lost_answers=stuttering.lost,
            **summary(tally, evidence),
        )


def _multiset(replay: Replay, directory_id: str) -> Counter[tuple[Register, object]]:
    """Return what happened in a directory, without its id."""
    return Counter(
        ((register[0], *register[2:]), value)
        for register, values in replay.transitions.items()
        if register[1] == directory_id
        for value in values
    )
