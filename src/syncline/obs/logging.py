"""Log lines: an event name and key=value, as JSON or for the console, without secrets and bodies."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from syncline.core.redact import redact_event
from syncline.obs.tracebacks import describe_exception


class LogStyle(StrEnum):
    """How a line looks."""

    JSON = "json"
    CONSOLE = "console"


def configure(*, level: str = "info", style: LogStyle = LogStyle.JSON, stream: TextIO | None = None) -> None:
    """Send all logs of the process, ours and those of libraries, to one stream (stderr by default).

    `level` is a name such as `info`, in any letter case; raises `ValueError` for an unknown one.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"'{level}' is no log level")
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(style, colors=target.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for noisy in ("asyncio", "aiohttp.access", "uvicorn.access"):
        # Access lines carry whole addresses, with one-time links in them.
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def is_debugging() -> bool:
    """Tell whether debug lines are wanted, where merely asking the logger would cost too much."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module: `log.info("directory.linked", directory_id=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: replace secrets, omit bodies; runs after tracebacks have become text."""
    internal = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}
    return {**redact_event(event), **internal}


def first_line_of_others(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Processor: keep the first line of a library's text; asyncio puts whole exceptions into the others."""
    if not event.get("_from_structlog") and isinstance(event.get("event"), str):
        event["event"] = event["event"].partition("\n")[0]
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(style: LogStyle, *, colors: bool) -> logging.Formatter:
    renderer: Processor
    if style is LogStyle.JSON:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colors)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.ExceptionRenderer(describe_exception),
            first_line_of_others,
            redact,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            renderer,
        ],
    )
