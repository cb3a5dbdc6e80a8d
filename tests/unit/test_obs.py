"""Logs are readable by machines, complete and free of secrets; metrics have the names operators alert on."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from syncline.obs import logging as log_setup
from syncline.obs.logging import LogStyle, configure, get_logger
from syncline.obs.metrics import CONTENT_TYPE, Metrics

CANARY = "Zx9Qw7Ek3Rt5Yu1Io0PaSdFgHjKl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield io.StringIO()
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestLogs:
    def test_a_line_is_an_event_name_and_its_fields(self, stream: io.StringIO) -> None:
        configure(stream=stream)
        structlog.contextvars.bind_contextvars(request_id="request_1")
        get_logger("syncline.test").info("directory.linked", directory_id="directory_1", count=2)
        (line,) = lines(stream)
        assert line.pop("timestamp").endswith("Z")
        assert line == {
            "event": "directory.linked",
            "directory_id": "directory_1",
            "count": 2,
            "level": "info",
            "logger": "syncline.test",
            "request_id": "request_1",
        }

    def test_lines_of_libraries_look_the_same(self, stream: io.StringIO) -> None:
        configure(stream=stream)
        logging.getLogger("some.library").warning("took %s ms, Bearer %s", 5, CANARY)
        (line,) = lines(stream)
        assert line["event"] == "took 5 ms, [redacted]"
        assert (line["level"], line["logger"]) == ("warning", "some.library")

    @pytest.mark.parametrize("style", list(LogStyle))
    def test_no_secret_and_no_body_reaches_the_stream(self, stream: io.StringIO, style: LogStyle) -> None:
        configure(stream=stream, style=style)
        log = get_logger("syncline.test")
        log.info(
            "a", token=CANARY, headers={"Authorization": CANARY}, body={"x": CANARY}, raw=CANARY.encode()
        )
        log.info("b", url=f"https://u:{CANARY}@h/", note=f"sk_live_{CANARY}")
        try:
            raise ValueError(f"the token scim_{CANARY} is wrong")
        except ValueError:
            log.exception("c")
            logging.getLogger("some.library").exception("d")
        assert CANARY not in stream.getvalue()
        assert stream.getvalue().count("ValueError") >= 2

    def test_lines_below_the_level_are_left_out(self, stream: io.StringIO) -> None:
        configure(stream=stream, level="Warning")
        get_logger("syncline.test").info("quiet")
        logging.getLogger("some.library").info("quiet")
        get_logger("syncline.test").warning("loud")
        assert [line["event"] for line in lines(stream)] == ["loud"]

    def test_access_lines_with_their_addresses_are_left_out(self, stream: io.StringIO) -> None:
        configure(stream=stream, level="debug")
        logging.getLogger("uvicorn.access").info("GET /?token=%s", CANARY)
        assert stream.getvalue() == ""

    def test_an_unknown_level_is_an_error(self, stream: io.StringIO) -> None:
        with pytest.raises(ValueError, match="level"):
            configure(stream=stream, level="loud")

    def test_fields_of_the_formatter_survive_redaction(self) -> None:
        record = object()
        assert log_setup.redact(None, "info", {"event": "x", "_record": record})["_record"] is record


class TestMetrics:
    def test_the_alarms_are_there_and_silent_from_the_start(self) -> None:
        text = Metrics().render().decode()
        for line in (
            "syncline_log_gap 0.0",
            "syncline_inbox_age_seconds 0.0",
            "syncline_sweep_found_total 0.0",
            "syncline_events_sealed_total 0.0",
        ):
            assert line in text.splitlines()
        assert CONTENT_TYPE.startswith("text/plain")

    def test_what_is_counted_is_shown_with_its_labels(self) -> None:
        metrics = Metrics()
        metrics.requests.labels("scim", "PATCH", "200").inc()
        metrics.deliveries.labels("timeout").inc(2)
        metrics.request_seconds.labels("scim").observe(0.02)
        text = metrics.render().decode()
        assert 'syncline_requests_total{method="PATCH",status="200",surface="scim"} 1.0' in text
        assert 'syncline_deliveries_total{outcome="timeout"} 2.0' in text
        assert 'syncline_request_seconds_count{surface="scim"} 1.0' in text

    def test_two_processes_in_one_do_not_share_figures(self) -> None:
        one, other = Metrics(), Metrics()
        one.sweep_found.inc()
        assert "syncline_sweep_found_total 0.0" in other.render().decode()

    def test_every_metric_has_the_products_prefix_and_a_sentence(self) -> None:
        for family in Metrics().registry.collect():
            assert family.name.startswith("syncline_")
            assert family.documentation.endswith(".")
