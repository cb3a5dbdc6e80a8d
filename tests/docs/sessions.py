"""Runs the shell sessions of a page as a reader would, and compares what they print with what is shown.

A session is every fenced block of the language `console` of a page, from top to bottom in one shell (of
README.md: every fenced block that begins with `$ `). A line that begins with `$ ` is a command, what follows
is its output.

* `…` in an output stands for anything, and for any number of lines on a line of its own. Spaces do not count.
  A command without output may print anything; each must succeed.
* `sk_…`, `org_01…` and the like in a command stand for the value of that kind that was printed last, as a
  reader would paste it.
* A block with the title "NAME, keeps running" starts something that stays: the lines must appear in this
  order, others may stand between. A later block with the title NAME and without a command says what appears
  then.
* `localhost:8000` and `localhost:9000` are ports of the test, and `scripts/run` is the command that it runs.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from tests.support.waiting import wait_until_sync

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30.0
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="([^"]*)"')
_KEEPS_RUNNING = ", keeps running"
_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_SECRETS = {"sk": r"[\w-]{24,}", "scim": r"[\w-]{24,}", "whsec": r"[\w+/=-]{24,}"}
_PASTED = re.compile(r"(?<!\w)(?P<prefix>[a-z]+(?:_[a-z]+)*)_(?:01[A-Z]?)?…")
_PASTED_ADDRESS = re.compile(r"/scim/(v[12])/01[A-Z]?…")
_PASTED_ULID = re.compile(r"(?<![\w/])01[A-Z]?…")
_DONE = re.compile(r"\x1e(\d+)\x1e")


@dataclass(frozen=True, slots=True)
class Step:
    """A command with the output that is shown, or output alone; `line` is where it stands."""

    command: str
    output: tuple[str, ...]
    line: int
    terminal: str = ""
    keeps_running: bool = False


def steps(markdown: str) -> list[Step]:
    """Return the steps of every session block of a page."""
    found: list[Step] = []
    for block in _FENCE.finditer(markdown):
        info, body = block["info"].strip(), block["body"]
        if info.split(" ")[0] != "console" and not (info == "" and body.startswith("$ ")):
            continue
        line = markdown.count("\n", 0, block.start("body")) + 1
        title = _TITLE.search(info)
        terminal, keeps, _ = (title[1] if title else "").partition(_KEEPS_RUNNING)
        lines = [text.removeprefix(block["indent"]) for text in body.splitlines()]
        found += _steps(lines, line, terminal, bool(keeps))
    return found


def _steps(lines: Sequence[str], first: int, terminal: str, keeps_running: bool) -> list[Step]:
    if not lines[0].startswith("$ "):
        return [Step("", tuple(lines), first, terminal)]
    found: list[Step] = []
    number = 0
    while number < len(lines):
        begun = number
        text = lines[number][2:]
        while not _is_whole(text):
            number += 1
            text += f"\n{lines[number]}"
        number += 1
        output = []
        while number < len(lines) and not lines[number].startswith("$ "):
            output.append(lines[number])
            number += 1
        keeps = keeps_running or text.startswith("scripts/run")
        found.append(Step(text, tuple(output), first + begun, terminal, keeps))
    return found


def _is_whole(command: str) -> bool:
    """Tell whether a command ends here: no quotation is open, and no backslash asks for more."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


@dataclass(slots=True)
class Running:
    """Something that stays, and how much of its output has been looked at."""

    process: subprocess.Popen[bytes]
    log: Path
    read: int = 0

    def text(self) -> str:
        """What it has printed since it was last looked at."""
        return self.log.read_bytes()[self.read :].decode("utf-8", "replace")


@dataclass(slots=True)
class Session:
    """One reader at work in an empty folder; `ports` maps the ports of the page to those of the test."""

    folder: Path
    ports: Mapping[int, int]
    environment: Mapping[str, str] = field(default_factory=dict)
    seen: str = ""
    _running: dict[str, Running] = field(default_factory=dict)
    _shell: subprocess.Popen[str] | None = None
    _lines: Queue[str] = field(default_factory=Queue)

    def __enter__(self) -> Session:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCLINE_")}
        binaries = f"{ROOT / '.venv' / 'bin'}:{kept.get('PATH', '')}"
        settings = {
            "PATH": binaries,
            "SYNCLINE_PORT": str(self.ports[8000]),
            "SYNCLINE_STATE": str(self.folder / ".state"),
            "PYTHONUNBUFFERED": "1",
        }
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=self.folder,
            env={**kept, **settings, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell is not None
        for running in self._running.values():
            _stop(running.process)
        _stop(self._shell)

    def play(self, page: Sequence[Step]) -> None:
        """Carry out the steps of a page; what differs from the page is an assertion that names its line."""
        for step in page:
            if not step.command:
                self._expect(self._running[step.terminal], step)
            elif step.keeps_running:
                self._start(step)
            else:
                self._run(step)

    def _run(self, step: Step) -> None:
        is_reading = step.command.startswith("curl") and not re.search(r" (-X|-d|--json) ", step.command)
        ends = time.monotonic() + (10 if is_reading else 0)
        while True:
            status, printed = self._execute(self._pasted(step.command))
            printed = self._shown(printed)
            if matches(step.output, printed) or time.monotonic() >= ends:
                break
            # What is asked for may be a moment away, as when a webhook or a worker has to get to it.
            time.sleep(0.1)
        assert status == 0, f"line {step.line}: `{step.command}` ended with {status}:\n{printed}"
        assert matches(step.output, printed), _difference(step, printed)
        self.seen += printed

    def _start(self, step: Step) -> None:
        status, exported = self._execute("env -0 | base64 -w0")
        assert status == 0
        variables = _decoded(exported)
        log = self.folder / f".terminal-{len(self._running)}.log"
        command = self._pasted(step.command)
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Running(process, log)
        self._running[step.terminal] = running
        self._expect(running, step)

    def _expect(self, running: Running, step: Step) -> None:
        def reached() -> bool:
            assert running.process.poll() is None, f"line {step.line} has ended:\n{running.text()}"
            return contains_in_order(step.output, self._shown(running.text()))

        try:
            wait_until_sync(reached, SECONDS)
        except AssertionError:
            raise AssertionError(_difference(step, self._shown(running.text()))) from None
        text = running.text()
        running.read += len(text.encode())
        self.seen += self._shown(text)

    def _execute(self, command: str) -> tuple[int, str]:
        """Run a command in the page's shell; return its status and what it printed."""
        assert self._shell is not None
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null; printf '\\036%d\\036\\n' $?\n")
        self._shell.stdin.flush()
        printed = ""
        ends = time.monotonic() + SECONDS
        while True:
            try:
                printed += self._lines.get(timeout=max(0.0, ends - time.monotonic()))
            except Empty:
                raise AssertionError(f"no end of `{command}` in {SECONDS:g} s:\n{printed}") from None
            done = _DONE.search(printed)
            if done is not None:
                return int(done[1]), printed[: done.start()]

    def _listen(self) -> None:
        assert self._shell is not None
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            self._lines.put(line)

    def _pasted(self, command: str) -> str:
        """Return a command as the reader types it: values of this session for those the page elides."""
        command = command.replace("scripts/run", "syncline up --demo")
        for shown, real in self.ports.items():
            command = re.sub(rf"\b(localhost|127\.0\.0\.1):{shown}\b", rf"\1:{real}", command)
            command = re.sub(rf"(?<=_PORT=){shown}\b|(?<=/32:){shown}\b", str(real), command)
        command = _PASTED_ADDRESS.sub(lambda found: self._last(rf"/scim/{found[1]}/{_ULID}"), command)
        command = _PASTED.sub(lambda found: self._last_of(found["prefix"]), command)
        return _PASTED_ULID.sub(lambda _: self._last(rf'(?<="id":"){_ULID}(?=")'), command)

    def _last_of(self, prefix: str) -> str:
        return self._last(rf"(?<![\w]){prefix}_{_SECRETS.get(prefix, _ULID)}")

    def _last(self, pattern: str) -> str:
        found = re.findall(pattern, self.seen)
        assert found, f"nothing was printed yet that a reader could paste for {pattern}"
        return str(found[-1])

    def _shown(self, printed: str) -> str:
        """Return an output as the page would show it."""
        printed = re.sub(rf"\b(?:localhost|127\.0\.0\.1):{self.ports[8000]}\b", "localhost:8000", printed)
        return re.sub(rf"\b(localhost|127\.0\.0\.1):{self.ports[9000]}\b", r"\1:9000", printed)


def matches(expected: Sequence[str], printed: str) -> bool:
    """Tell whether an output is what a page shows."""
    if not expected:
        return True
    text = "\n".join(expected)
    if text.lstrip().startswith(("{", "[")):
        # JSON is shown with line ends for people.
        return (
            re.fullmatch(_pattern(re.sub(r"\s", "", text)), re.sub(r"\s", "", printed), re.DOTALL) is not None
        )
    lines = "\n".join(" ".join(line.split()) for line in printed.strip().splitlines())
    parts = [
        r"(?:.*\n)*?" if line.strip() == "…" else _pattern(" ".join(line.split())) + "\n" for line in expected
    ]
    return re.fullmatch("".join(parts), lines + "\n") is not None


def contains_in_order(expected: Sequence[str], printed: str) -> bool:
    """Tell whether lines appear in an output in this order, with others between them or not."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    wanted = [" ".join(line.split()) for line in expected]
    return all(
        any(re.fullmatch(_pattern(line), shown) for shown in lines)
        for line in wanted
        if line not in ("", "…")
    )


def _pattern(text: str) -> str:
    """Return a regular expression of shown text.

    An ellipsis is anything, between two commas also nothing; a time of day is any, and so is a port of five
    digits, which the system chose.
    """
    pattern = re.escape(re.sub(r"01[A-Z]?…", "…", text))
    pattern = pattern.replace(",…,", ",(?:.*?,)?").replace("…", ".*?")
    pattern = re.sub(r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d", pattern)
    return re.sub(r":\d{5}/", r":\\d{5}/", pattern)


def _difference(step: Step, printed: str) -> str:
    shown = "\n".join(step.output)
    return f"line {step.line}: `{step.command}` is said to print\n{shown}\n--- but prints ---\n{printed}"


def _decoded(exported: str) -> dict[str, str]:
    import base64

    entries = base64.b64decode(exported).decode("utf-8", "replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def _stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process and what it has started, gently first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait(10)
