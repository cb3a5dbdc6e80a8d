"""Each transform does what its sentence says, and refuses arguments that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.core.countries import country_code
from syncline.core.transforms import TRANSFORMS, BadTransform, compile_transform


@pytest.mark.parametrize(
    ("name", "arguments", "given", "value"),
    [
        ("trim", {}, " a b \n", "a b"),
        ("trim", {}, 7, 7),
        ("trim", {}, [" a ", " ", "b"], ["a", "b"]),
        ("lower", {}, "ÄB", "äb"),
        ("upper", {}, "straße", "STRASSE"),
        ("date", {}, " 2026-03-02 ", "2026-03-02"),
        ("date", {}, "2026-03-02T08:00:00.1234567Z", "2026-03-02T08:00:00.123Z"),
        ("date", {}, "yesterday", None),
        ("date", {"format": "DD.MM.YYYY"}, "2.3.2026", "2026-03-02"),
        ("date", {"format": "DD.MM.YYYY"}, "02.03.2026", "2026-03-02"),
        ("date", {"format": "DD.MM.YYYY"}, "31.02.2026", None),
        ("date", {"format": "DD.MM.YYYY"}, "02.03.2026 10:00", None),
        ("date", {"format": "MM/DD/YYYY"}, "3/2/2026", "2026-03-02"),
        ("date", {"format": "YYYYMMDD"}, "20260302", "2026-03-02"),
        ("date", {"format": "YYYYMMDD"}, 20260302, "2026-03-02"),
        ("date", {"format": "YYYYMMDD"}, "2026-302", None),
        ("date", {"format": "DD-MMM-YY"}, "02-Mar-26", "2026-03-02"),
        ("date", {"format": "DD-MMM-YY"}, "02-MAR-70", "1970-03-02"),
        ("date", {"format": "DD-MMM-YY"}, "02-Foo-26", None),
        ("date", {"format": "YYYY-MM-DD HH:mm:ss"}, "2026-03-02 08:15:01", "2026-03-02T08:15:01.000Z"),
        ("date", {"format": "epoch"}, 1772438400, "2026-03-02T08:00:00.000Z"),
        ("date", {"format": "epoch_ms"}, "1772438400000", "2026-03-02T08:00:00.000Z"),
        ("date", {"format": "epoch"}, "1e300", None),
        ("date", {"format": "epoch"}, "nan", None),
        ("country", {}, "Deutschland", "DE"),
        ("country", {}, ["NO", "Norway", "nowhere"], ["NO", "NO"]),
        ("country", {}, 47, None),
        ("number", {}, "12.50", 12.5),
        ("number", {}, "twelve", None),
        ("boolean", {}, "Yes", True),
        ("boolean", {"true": ["aktiv"], "false": ["ruhend"]}, "AKTIV", True),
        ("boolean", {"true": ["aktiv"], "false": ["ruhend"]}, "ruhend", False),
        ("boolean", {"true": ["aktiv"]}, "no", False),
        ("boolean", {"true": ["aktiv"]}, "other", None),
        ("boolean", {"true": ["no"]}, "no", True),
        ("first", {}, ["", None, "b", "c"], "b"),
        ("first", {}, [], None),
        ("first", {}, "a", "a"),
        ("last", {}, ["b", "c", ""], "c"),
        ("join", {}, ["a", 1, True, None, {"x": 1}], "a, 1, true"),
        ("join", {"separator": ""}, ["a", "b"], "ab"),
        ("join", {}, [], None),
        ("split", {}, "a, b,,c ", ["a", "b", "c"]),
        ("split", {"separator": " / "}, ["a / b", "c"], ["a", "b", "c"]),
        ("map", {"table": {"N": "North"}}, "n ", "North"),
        ("map", {"table": {"1": True}}, 1, True),
        ("map", {"table": {"N": "North"}}, "s", None),
        ("map", {"table": {"N": "North"}, "default": "Other"}, "s", "Other"),
        ("map", {"table": {"a": "x", "b": "y"}}, ["b", "c", "a"], ["y", "x"]),
        ("default", {"value": "none"}, "", "none"),
        ("default", {"value": "none"}, "a", "a"),
        ("default", {"value": 0}, None, 0),
        ("date", {}, "2026-03-02-08:00", "2026-03-02"),
        ("date", {}, "2026-03-02Z", "2026-03-02"),
        ("date", {}, "2026-02-30+01:00", None),
        ("replace", {"find": "ou=", "with": ""}, "ou=North", "North"),
        ("object", {"fields": {"a": "x.y", "b": "z"}}, {"X": {"y": 1}}, {"a": 1, "b": None}),
        ("object", {"fields": {"a": "x", "k": {"value": 7}}}, {"x": "v"}, {"a": "v", "k": 7}),
        ("object", {"fields": {"a": "x", "k": {"value": 7}}}, {"y": "v"}, None),
        ("object", {"fields": {"a": ["x", "y"]}}, {"x": "", "y": "v"}, {"a": "v"}),
        ("object", {"fields": {"a": "x"}}, [{"x": 1}, {"y": 2}, "t", {"x": 3}], [{"a": 1}, {"a": 3}]),
        ("object", {"fields": {"a": "x"}}, "text", None),
        ("list", {"paths": ["a", "b.c", "d"]}, {"a": 1, "b": [{"c": 2}, {"c": 3}], "d": ""}, [1, 2, 3]),
        ("list", {"paths": [["a", "b"], "c"]}, {"b": 1, "c": False}, [1, False]),
        ("list", {"paths": ["a"]}, {"b": 1}, []),
        ("list", {"paths": ["a"]}, "text", None),
        ("list", {"paths": ["a"]}, [{"a": 1}], None),
        ("list", {"paths": ["a"] * 50}, {"a": [1] * 20}, [1] * 1000),
        ("list", {"paths": ["a"] * 50}, {"a": [1] * 21}, None),
        ("replace", {"find": "a", "with": "b" * 200}, "a" * 327, "b" * 65_400),
        ("replace", {"find": "a", "with": "b" * 200}, "a" * 328, None),
        ("replace", {"find": "a", "with": ""}, "a" * 70_000 + "b", "b"),
    ],
)
def test_a_transform_does_what_it_says(name: str, arguments: dict[str, Any], given: Any, value: Any) -> None:
    made = compile_transform(name, arguments)(given)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("name", "arguments", "wrong"),
    [
        ("shout", {}, None),
        ("trim", {"left": True}, "left"),
        ("map", {}, "table"),
        ("map", {"table": {}}, "table"),
        ("map", {"table": ["a"]}, "table"),
        ("map", {"table": {"A": 1, "a": 2}}, "table"),
        ("map", {"table": {str(number): 1 for number in range(501)}}, "table"),
        ("default", {}, "value"),
        ("default", {"value": ""}, "value"),
        ("join", {"separator": 1}, "separator"),
        ("split", {"separator": ""}, "separator"),
        ("replace", {"find": "a"}, "with"),
        ("object", {}, "fields"),
        ("object", {"fields": {}}, "fields"),
        ("object", {"fields": ["a"]}, "fields"),
        ("object", {"fields": {"a": 1}}, "fields"),
        ("object", {"fields": {"a": "b..c"}}, "fields"),
        ("object", {"fields": {"a": []}}, "fields"),
        ("object", {"fields": {"a": ["b", ["c"]]}}, "fields"),
        ("object", {"fields": {"a": {"value": 1}}}, "fields"),
        ("object", {"fields": {"a": {"value": 1, "more": 2}}}, "fields"),
        ("object", {"fields": {str(number): "a" for number in range(51)}}, "fields"),
        ("list", {"paths": "a"}, "paths"),
        ("list", {"paths": []}, "paths"),
        ("list", {"paths": ["$email"]}, "paths"),
        ("list", {"paths": ["a"] * 51}, "paths"),
        ("replace", {"find": "", "with": "b"}, "find"),
        ("boolean", {"true": "yes"}, "true"),
        ("boolean", {"true": []}, "true"),
        ("boolean", {"true": ["x"], "false": ["X"]}, "false"),
        ("date", {"format": ""}, "format"),
        ("date", {"format": "YYYY"}, "format"),
        ("date", {"format": "YYYY-MM-DD mm"}, "format"),
        ("date", {"format": "YYYY-MM-DD DD"}, "format"),
        ("date", {"format": "day/month/year"}, "format"),
    ],
)
def test_wrong_arguments_are_refused_when_they_are_written(
    name: str, arguments: dict[str, Any], wrong: str | None
) -> None:
    with pytest.raises(BadTransform) as refused:
        compile_transform(name, arguments)
    assert refused.value.argument == wrong
    assert str(refused.value).endswith(".")


def test_every_transform_says_what_it_does() -> None:
    for name, kind in TRANSFORMS.items():
        assert name == kind.name
        assert kind.meaning.endswith(".")
        assert set(kind.required).isdisjoint(kind.optional)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("us", "US"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("uk", "GB"),
        ("Great Britain", "GB"),
        ("GB", "GB"),
        ("Schweiz", "CH"),
        ("Côte d'Ivoire", "CI"),
        ("Côte d\u2019Ivoire", "CI"),
        ("Trinidad & Tobago", "TT"),
        ("  new   zealand ", "NZ"),
        ("Korea, Republic of", "KR"),
        ("Atlantis", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_a_country_is_known_by_its_usual_names(text: str, code: str | None) -> None:
    assert country_code(text) == code
