"""Evaluation of attributes is a function: total on whatever a provider sends, and the same every time."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncline.core.attribute_map import (
    NAMED_SOURCES,
    WHOLE,
    AttributeMap,
    AttributeType,
    evaluate,
    read_map,
)
from syncline.core.attribute_paths import BadPath, compile_path, is_blank
from syncline.core.attribute_sources import Problems, read_sources, source_body
from syncline.core.json import Json, stringify
from syncline.core.model import Document
from syncline.core.observed import ObservedSchema
from syncline.core.scim.schema import ENTERPRISE_URN

_NAMES = st.sampled_from(
    [
        "userName",
        "title",
        "TITLE",
        "name",
        "name.givenName",
        "emails",
        "addresses",
        "phoneNumbers",
        "manager",
        "value",
        "type",
        "primary",
        "displayName",
        "costPool",
        "a.b",
        "urn:okta:acme:2.0:user:custom",
        ENTERPRISE_URN,
    ]
)
_KEYS = _NAMES | st.text(max_size=3)
_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "work", "true", "mira@x.example", "2026-03-02", "12", "1e400", "nan", "Norway", "-0"]
    ),
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _TEXTS
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=6,
)
_BODIES: st.SearchStrategy[Document] = st.dictionaries(_KEYS, _VALUES, max_size=6)
_PATHS = st.sampled_from(
    [
        "title",
        "name.givenName",
        "emails",
        "emails.value",
        'emails[type eq "work"].value',
        "emails[primary].value",
        "emails[value pr and not (primary eq true)].type",
        "addresses[primary].country",
        "costCenter",
        "manager.value",
        "a.b.c",
        "urn:okta:acme:2.0:user:custom.costPool",
        'urn:okta:acme:2.0:user:custom:emails[type ew "k"].value',
        *(name for name in NAMED_SOURCES if name != WHOLE),
    ]
)
_TAKING = st.sampled_from(
    [
        {
            "name": "object",
            "arguments": {"fields": {"a": "name.givenName", "b": "emails", "c": {"value": 1}}},
        },
        {"name": "list", "arguments": {"paths": ["title", "emails.value", 'a.b[c eq "d"]']}},
    ]
)
_TRANSFORMS = st.lists(
    _TAKING
    | st.sampled_from(
        [
            "trim",
            "lower",
            "upper",
            "date",
            "country",
            "number",
            "boolean",
            "first",
            "last",
            "join",
            "split",
            {"name": "date", "arguments": {"format": "DD.MM.YYYY"}},
            {"name": "date", "arguments": {"format": "epoch"}},
            {"name": "map", "arguments": {"table": {"work": 1, "true": [None]}, "default": {"x": ""}}},
            {"name": "default", "arguments": {"value": "none"}},
            {"name": "replace", "arguments": {"find": "a", "with": ""}},
        ]
    ),
    max_size=3,
)
_SOURCES = st.lists(
    st.one_of(
        st.builds(lambda path, steps: {"path": path, "transforms": steps}, _PATHS, _TRANSFORMS),
        st.builds(
            lambda taking, steps: {"path": WHOLE, "transforms": [taking, *steps]}, _TAKING, _TRANSFORMS
        ),
        st.builds(
            lambda value, steps: {"value": value, "transforms": steps}, _SCALARS.filter(bool), _TRANSFORMS
        ),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def _maps(draw: st.DrawFn) -> AttributeMap:
    rules = []
    for number, type_ in enumerate(
        draw(st.lists(st.sampled_from(list(AttributeType)), min_size=1, max_size=4))
    ):
        problems = Problems()
        read = read_sources(draw(_SOURCES), "sources", problems)
        problems.refuse()
        sources = [source_body(source) for source in read]
        rules.append({"key": f"k{number}", "kind": "custom", "type": type_, "sources": sources})
    return read_map(json.loads(json.dumps(rules)))


_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "date": str,
    "number": (int, float),
    "boolean": bool,
    "list": list,
    "object": dict,
}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_maps(), _BODIES, _BODIES, st.none() | st.just("boss@x.example"))
def test_evaluation_is_total_pure_and_typed(
    made: AttributeMap, document: Document, raw: Document, manager: str | None
) -> None:
    before = copy.deepcopy((document, raw))
    once = evaluate(made, document, raw, resource_id="01", manager_email=manager)
    assert (document, raw) == before
    again = evaluate(
        made, copy.deepcopy(document), copy.deepcopy(raw), resource_id="01", manager_email=manager
    )
    assert stringify(dict(once.custom)) == stringify(dict(again.custom))
    for rule in made.rules:
        value = once.custom[rule.key]
        assert value is None or isinstance(value, _KINDS[rule.type])
        assert value is None or not is_blank(value)
        assert rule.type is AttributeType.BOOLEAN or not isinstance(value, bool)


@given(_maps(), _BODIES)
def test_no_raw_body_means_that_it_is_the_document(made: AttributeMap, document: Document) -> None:
    alone = evaluate(made, document, None, resource_id="01")
    twice = evaluate(made, document, copy.deepcopy(document), resource_id="01")
    assert stringify(dict(alone.custom)) == stringify(dict(twice.custom))


@given(st.text(max_size=40) | st.text(alphabet='ab.:[]" \\eqpr', max_size=40))
def test_a_path_is_read_or_refused_and_never_fails_later(text: str) -> None:
    try:
        reader = compile_path(text)
    except BadPath:
        return
    bodies: list[Document] = [{}, {text: 1}, {"a": [{"b": "x"}, "y", None]}, {"a": {"b": {"a": [1]}}}]
    for body in bodies:
        reader(body, {})


@given(st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner), max_leaves=8))
def test_whatever_is_given_as_sources_is_read_or_refused(value: Json) -> None:
    problems = Problems()
    found = read_sources(value, "sources", problems)
    if not problems.errors:
        bodies: Any = [source_body(source) for source in found]
        assert [source_body(source) for source in read_sources(bodies, "sources", problems)] == bodies
        assert not problems.errors


@settings(max_examples=40)
@given(st.lists(_BODIES, max_size=2))
def test_every_observed_path_is_one_that_a_map_accepts(bodies: list[Document]) -> None:
    schema = ObservedSchema()
    for body in bodies:
        schema.add(body)
    for observed in schema.paths():
        reader = compile_path(observed.path)
        having = sum(reader(body, {}) is not None for body in bodies)
        assert 0 < observed.people <= having
        assert len(observed.samples(schema.people, masked=True)) <= 3
