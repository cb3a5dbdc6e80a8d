"""The checks of a receiver, each with what it plays, what is unsafe and how to mend it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, zip_longest

from syncline.core.signing import new_endpoint_secret
from syncline.testing.consumer_play import Found, Player, Signed
from syncline.testing.consumer_story import Numbers, Story, Told

_DAYS = timedelta(days=2)
_HOUR = timedelta(hours=1)
# Above what web frameworks take by default (100 kB) and below what a directory may hold (1 MiB).
_BIG = 300_000


@dataclass(slots=True)
class Scene:
    """What a check plays with; `restart` starts the receiver again, `new_secret` is the next one it knows."""

    player: Player
    numbers: Numbers
    restart: Callable[[], Awaitable[None]] | None = None
    new_secret: str | None = None
    patience: float = 5.0
    notes: list[str] = field(default_factory=list)

    def story(self, *, age: timedelta = timedelta(0)) -> Story:
        """Return a new directory that nothing was told about yet."""
        return Story(self.numbers, age=age)


@dataclass(frozen=True, slots=True)
class Check:
    """One check; it means nothing while another one that it `needs` has failed."""

    name: str
    title: str
    play: Callable[[Scene], Awaitable[None]]
    needs: Sequence[str] = ("delivery",)


async def _delivery(scene: Scene) -> None:
    story = scene.story()
    remedy = (
        "Answer 2xx to every signed event: check the address, that nothing in front asks for a login, that "
        "the secret is this endpoint's, and that the signature is computed over the bytes as received."
    )
    await scene.player.deliver(story.whole(), remedy)
    await scene.player.compare(
        [story.expected], "Apply each event before you answer, or keep it safe in a queue that is worked on."
    )


async def _duplicates(scene: Scene) -> None:
    story = scene.story()
    events = story.whole()
    remedy = (
        "Delivery is at least once. Keep the ids of the events that are done, in the same transaction as "
        "their effect, and answer 2xx without doing anything when an id comes again."
    )
    for told in events[:-1]:
        await scene.player.deliver([told, told], remedy)
    await scene.player.deliver(events[-1:], remedy)
    await scene.player.compare([story.expected], remedy)


async def _late_retries(scene: Scene) -> None:
    story = scene.story()
    events = story.whole()
    remedy = (
        "An old event that comes again must change nothing. Remember the ids of the events that are done for "
        "at least as long as deliveries are retried, 72 hours, and not only the latest one."
    )
    await scene.player.deliver(events, "Answer 2xx to every signed event.")
    # What these said at first is no longer so; whoever believes them again ends up in the past.
    outdated = ("dsync.user.created", "dsync.group.created", "dsync.group.user_added")
    late = [told for told in events[:-1] if told.type in outdated]
    await scene.player.deliver(late, remedy, attempt=7)
    await scene.player.deliver([story.user("Elena", "Petrova")], remedy)
    await scene.player.compare([story.expected], remedy)


async def _delayed(scene: Scene) -> None:
    story = scene.story(age=_DAYS)
    remedy = (
        "A retry may be three days old. Judge freshness by the timestamp of the signature, which is new for "
        "every attempt, and never by created_at of the event."
    )
    await scene.player.deliver(story.whole(), remedy, attempt=9)
    await scene.player.compare([story.expected], remedy)


async def _restart(scene: Scene) -> None:
    story = scene.story()
    events = story.whole()
    remedy = (
        "After a lost answer or a restart of either side the last events come again. Write the id of an "
        "event and its effect in one transaction of your database, not before it and not in memory."
    )
    lost, rest = events[: len(events) // 2], events[len(events) // 2 :]
    for told in lost:
        await scene.player.send(told, hang_up=True)
        await scene.player.deliver([told], remedy, attempt=2)
    if scene.restart is not None:
        await scene.restart()
        await scene.player.deliver(lost[-4:], remedy, attempt=2)
    else:
        scene.notes.append("The receiver was not restarted: give `restart` in the library.")
    await scene.player.deliver(rest, remedy)
    await scene.player.compare([story.expected], remedy)


async def _rollover(scene: Scene) -> None:
    player, story = scene.player, scene.story()
    old, stranger = player.secret, new_endpoint_secret(bytes(range(32)))
    remedy = (
        "During the overlap webhook-signature holds a signature of each secret in force, the newest first, "
        "and WorkOS-Signature that of the old one. Accept the request if any of them fits."
    )
    overlap = Signed((scene.new_secret or stranger, old), old)
    await player.deliver([story.activated(), story.user("Mira", "Voss")], remedy, signed=overlap)
    if scene.new_secret is None:
        scene.notes.append("The end of the overlap was not played: give the next secret as well.")
    else:
        new = scene.new_secret
        remedy = (
            "Make the new secret known to the receiver beside the old one before the overlap ends: after it "
            "only the new one signs."
        )
        switched = Signed((new, old), new)
        await player.deliver([story.new_title("Mira", "Lead")], remedy, signed=switched)
        await player.deliver([story.new_title("Mira", "Director")], remedy, signed=Signed((new,), new))
    await player.compare([story.expected], remedy)


async def _directories(scene: Scene) -> None:
    first, second = scene.story(), scene.story()
    # The log knows the events of the first directory before those of the second; they arrive the other way.
    early, late = first.whole(), second.whole()
    remedy = (
        "Only events of one directory are in order. Never drop an event because its context.sequence, id or "
        "created_at is lower than that of an event of another directory."
    )
    half = len(late) // 2
    mixed = chain.from_iterable(zip_longest(late[half:], early))
    await scene.player.deliver([*late[:half], *(told for told in mixed if told is not None)], remedy)
    await scene.player.compare([first.expected, second.expected], remedy)


async def _bad_signature(scene: Scene) -> None:
    player, story = scene.player, scene.story()
    stranger = new_endpoint_secret(bytes(range(32)))
    told = story.user("Mira", "Voss")
    altered = told.body.replace(b"Planner", b"Manager")
    remedy = (
        "Whoever knows the address can make people up. Verify the signature over the bytes as received, "
        "before anything is parsed or stored, and answer 401."
    )
    tries = {
        "signed with another secret": await player.send(told, signed=Signed((stranger,), stranger)),
        "altered after signing": await player.send(told, body=altered),
        "without a signature": await player.send(told, without_signature=True),
    }
    for what, answer in tries.items():
        if not answer.is_refusal:
            raise Found(f"The receiver {answer} to a request {what}; it must answer 4xx.", remedy)


async def _stale(scene: Scene) -> None:
    player, story = scene.player, scene.story()
    remedy = (
        "Whoever has recorded a request can send it again at any time. Refuse a signature whose timestamp is "
        "more than a few minutes from now, with 401."
    )
    for what, moment in (("old", -_HOUR), ("in the future", _HOUR)):
        at = player.clock() + moment
        answer = await player.send(story.user("Mira", "Voss"), signed=player.signed(at))
        if not answer.is_refusal:
            raise Found(f"The receiver {answer} to a signature an hour {what}; it must answer 4xx.", remedy)


async def _unknown_type(scene: Scene) -> None:
    story = scene.story()
    remedy = (
        "New types appear. Answer 2xx to a type that you do not know and ignore it; anything else is retried "
        "for three days, and the events of the directory wait behind it."
    )
    await scene.player.deliver([story.activated(), story.of_unknown_type()], remedy)
    await scene.player.deliver([story.fence()], remedy)
    await scene.player.compare([story.expected], remedy)


async def _big_body(scene: Scene) -> None:
    story = scene.story()
    events: list[Told] = [story.activated(), story.user("Mira", "Voss", attributes={"notes": "x" * _BIG})]
    remedy = (
        "A person may carry many attributes. Raise the limit for request bodies, of the framework and of the "
        "proxy in front, to at least 2 MiB; many have 100 kB or 1 MB."
    )
    await scene.player.deliver(events, remedy)
    await scene.player.compare([story.expected], remedy)


async def _non_ascii(scene: Scene) -> None:
    story = scene.story()
    events = [
        story.activated(),
        story.user("Zoë", "Łukasiewicz-Ōkubo", title="Geschäftsführerin"),
        story.user("李", "雷", title="工程师 🧭"),
        story.group("Küche / Ærø"),
        story.joined("Zoë", "Küche / Ærø"),
    ]
    remedy = (
        "Verify the bytes as received: a body that was parsed and written again has other bytes as soon as a "
        "name has an accent. Store text as UTF-8 (in MySQL utf8mb4)."
    )
    await scene.player.deliver(events, remedy)
    await scene.player.compare([story.expected], remedy)


async def _answer_time(scene: Scene) -> None:
    slowest = scene.player.slowest
    if slowest > scene.patience:
        raise Found(
            f"The slowest answer took {slowest:.1f} s; after 15 s it counts as a failure.",
            "Verify, put the event into a queue or table of yours, answer, and work afterwards.",
        )


CHECKS = (
    Check("delivery", "a directory's life is accepted and applied", _delivery, needs=()),
    Check("bad-signature", "requests that nobody of us signed are refused", _bad_signature),
    Check("stale-timestamp", "old and future signatures are refused", _stale, ("delivery", "bad-signature")),
    Check("duplicates", "an event that comes twice has its effect once", _duplicates),
    Check(
        "late-retries",
        "an old event that comes again changes nothing",
        _late_retries,
        ("delivery", "duplicates"),
    ),
    Check("delayed", "an event that is days old is accepted", _delayed),
    Check("restart", "lost answers and restarts lose nothing", _restart, ("delivery", "duplicates")),
    Check("secret-rollover", "a change of secrets refuses nothing", _rollover),
    Check("directories", "directories out of order against each other are applied", _directories),
    Check("unknown-type", "an unknown event type is accepted", _unknown_type),
    Check("big-body", "a large event is accepted", _big_body),
    Check("non-ascii", "names in every script survive", _non_ascii),
    Check("answer-time", "answers come in time", _answer_time),
)
