"""JSON: what the parser takes and refuses, and that the writer writes what JavaScript writes."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.core.errors import MalformedJson
from syncline.core.json import MAX_SAFE_INTEGER, Json, js_number, parse_json, stringify
from tests.support import parts

_NODE_ROUND_TRIP = """
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(text => JSON.stringify(JSON.parse(text)))));
"""

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
_INTEGER_LIKE = st.integers(0, 2**33).map(str)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT | _INTEGER_LIKE, inner, max_size=5),
    max_leaves=30,
)
"""Whatever JSON can hold."""

_VALUES_OF_DISTINCT_KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.from_regex(r"[a-z0-9\"\\:\[{ ]{0,6}", fullmatch=True), inner, max_size=5)
    ),
    max_leaves=30,
)


def _javascript(texts: list[str]) -> list[str]:
    """Return `JSON.stringify(JSON.parse(text))` of each text, as Node.js says."""
    node = shutil.which("node")
    if node is None:
        parts.missing("Node.js", "apt-get install nodejs")
    answer = subprocess.run(
        [node, "-e", _NODE_ROUND_TRIP], input=json.dumps(texts).encode(), capture_output=True, check=True
    )
    read: list[str] = json.loads(answer.stdout)
    return read


class TestParsing:
    @given(_VALUES_OF_DISTINCT_KEYS)
    def test_every_json_value_is_read_as_the_reference_parser_reads_it(self, value: Json) -> None:
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            read = parse_json(text.encode(), max_depth=100)
            assert repr(read) == repr(json.loads(text))

    @pytest.mark.parametrize("raw", [b'"text"', b"1", b"null", b"[]", b" {} \r\n\t", b"true"])
    def test_any_kind_of_value_may_stand_at_the_top(self, raw: bytes) -> None:
        assert parse_json(raw) == json.loads(raw)

    def test_a_byte_order_mark_is_skipped(self) -> None:
        assert parse_json(b'\xef\xbb\xbf{"a":1}') == {"a": 1}

    def test_prototype_keys_are_plain_content(self) -> None:
        assert parse_json(b'{"__proto__":{"a":1},"constructor":2}') == {
            "__proto__": {"a": 1},
            "constructor": 2,
        }

    def test_large_integers_keep_every_digit(self) -> None:
        digits = "9" * 4300
        assert parse_json(f"[{digits}]".encode()) == [int(digits)]

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"   ",
            b"{",
            b'{"a":1',
            b'{"a":1}}',
            b'{"a":1} {"a":2}',
            b"{'a':1}",
            b'{"a":1,}',
            b"[1,]",
            b"[,1]",
            b'{"a" 1}',
            b"{1:1}",
            b"01",
            b"+1",
            b"1.",
            b".5",
            b"1e",
            b"0x10",
            b"tru",
            b'"\x01"',
            b'"a\nb"',
            b'"\\x41"',
            b'"\\u12"',
            b'"open',
            b"// note\n{}",
            b'{"a":undefined}',
            b"\\[" + b"[" * 100_000,
        ],
    )
    def test_text_that_is_no_json_is_refused(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson):
            parse_json(raw)

    @pytest.mark.parametrize(
        "number",
        ["NaN", "Infinity", "-Infinity", "1e309", "-1e309", "1e99999999999", "9" * 400 + ".0"],
    )
    def test_numbers_that_are_not_finite_are_refused(self, number: str) -> None:
        with pytest.raises(MalformedJson):
            parse_json(f'{{"a":{number}}}'.encode())

    @pytest.mark.parametrize("number", ["1" * 4301, "-" + "1" * 5000, "0." + "1" * 4301, "1" * 2_000_000])
    def test_numbers_of_more_than_4300_digits_are_refused(self, number: str) -> None:
        with pytest.raises(MalformedJson):
            parse_json(f'{{"a":{number}}}'.encode())

    @pytest.mark.parametrize("text", ["1" * 5000, '\\"' + "1" * 5000, "1" * 3000 + "." + "2" * 3000])
    def test_a_text_of_many_digits_is_no_number(self, text: str) -> None:
        assert parse_json(f'{{"a":"{text}"}}'.encode()) == {"a": text.replace("\\", "")}

    @pytest.mark.parametrize(
        "raw",
        [
            b'"\xff"',
            b'{"\xff":1}',
            b'"\xed\xa0\x80"',
            b'"\xc0\x80"',
            b'"\xf4\x90\x80\x80"',
            '{"a":"ä"}'.encode("latin-1"),
            '{"a":1}'.encode("utf-16"),
        ],
    )
    def test_text_that_is_not_utf8_is_refused(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson):
            parse_json(raw)

    @pytest.mark.parametrize(
        "text",
        [
            "\\ud800",
            "\\udc00",
            "\\ud800\\ud800",
            "\\ud83d x",
            "\\udc00\\ud800",
            "\\uD83D\\n\\uDE00",
            "a\\udfffb",
        ],
    )
    def test_lone_surrogates_are_refused_in_keys_and_values(self, text: str) -> None:
        for raw in (f'["{text}"]', f'{{"{text}":1}}'):
            with pytest.raises(MalformedJson):
                parse_json(raw.encode())

    def test_a_surrogate_pair_is_one_character(self) -> None:
        assert parse_json(b'"\\ud83d\\ude00"') == "😀"

    @pytest.mark.parametrize(
        "raw", [b'"\\u0000"', b'["a\\u0000b"]', b'{"\\u0000":1}', b'{"a":[{"b":"\\u0000"}]}', b'"\x00"']
    )
    def test_nul_is_refused_in_keys_and_values(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson):
            parse_json(raw)

    def test_the_spelling_of_nul_behind_a_backslash_is_text(self) -> None:
        assert parse_json(b'"\\\\u0000"') == "\\u0000"


class TestRepeatedKeys:
    @pytest.mark.parametrize(
        "raw",
        [
            b'{"a":1,"a":2}',
            b'{"a":1,"a":1}',
            b'{"a":1,"\\u0061":1}',
            b'[{"x":{"b":1,"c":2,"b":3}}]',
            b'{"":1,"":2}',
            b'{"a:b":":","a:b":":"}',
            b'{"a\\"":1,"a\\"":2}',
            b'{"a\\\\":1,"a\\\\":2}',
        ],
    )
    def test_the_same_key_twice_in_one_object_is_refused(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson, match="twice"):
            parse_json(raw)

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"userName":"a","username":"b"}',
            b'{"Members":[],"members":[1]}',
            b'{"active":true,"Active":1}',
            '{"ÄRGER":1,"ärger":2}'.encode(),
            b'[{"a":1,"A":1},{"a":1,"A":2}]',
        ],
    )
    def test_keys_that_differ_by_case_are_refused_with_different_values(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson, match="letter case"):
            parse_json(raw)

    def test_keys_that_differ_by_case_are_taken_with_equal_values(self) -> None:
        assert parse_json(b'{"userName":"a","username":"a"}') == {"userName": "a", "username": "a"}

    def test_the_same_key_in_several_objects_is_ordinary(self) -> None:
        raw = b'[{"a":1,"b":{"a":2}},{"a":3}]'
        assert parse_json(raw) == [{"a": 1, "b": {"a": 2}}, {"a": 3}]

    def test_colons_and_quotation_marks_inside_text_do_not_confuse_the_count(self) -> None:
        value = {'a":"b': '":":"', "c:d": "\\", "e\\": ['\\"', "{[:", "]}"]}
        assert parse_json(json.dumps(value).encode()) == value

    def test_the_sentence_names_the_key_and_nothing_of_the_values(self) -> None:
        with pytest.raises(MalformedJson) as refusal:
            parse_json(b'{"name":"secret-one","name":"secret-two"}')
        assert "'name'" in refusal.value.message
        assert "secret" not in refusal.value.message

    @given(st.lists(st.sampled_from(["a", "b", "A", "x:y", '"']), max_size=5), st.integers(0, 1))
    def test_a_repeated_key_is_found_wherever_it_stands(self, keys: list[str], wrap: int) -> None:
        text = "{" + ",".join(f"{json.dumps(key)}:0" for key in keys) + "}"
        raw = (f'{{"in":[{text}]}}' if wrap else text).encode()
        if len(set(keys)) == len(keys):
            assert parse_json(raw) == json.loads(raw)
        else:
            with pytest.raises(MalformedJson):
                parse_json(raw)


class TestDepth:
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    def test_the_limit_is_exact(self, opening: str, closing: str) -> None:
        levels = len(opening.replace('"a":', ""))
        allowed = 32 // levels
        assert parse_json((opening * allowed + "1" + closing * allowed).encode()) is not None
        with pytest.raises(MalformedJson, match="deeper"):
            parse_json((opening * (allowed + 1) + "1" + closing * (allowed + 1)).encode())

    @given(_VALUES, st.integers(1, 8))
    def test_depth_is_counted_as_one_would_by_hand(self, value: Json, limit: int) -> None:
        def depth(node: Json) -> int:
            if isinstance(node, dict):
                return 1 + max(map(depth, node.values()), default=0)
            if isinstance(node, list):
                return 1 + max(map(depth, node), default=0)
            return 0

        raw = json.dumps([value, [1], {"a": {}}] * 5).encode()
        too_deep = depth(json.loads(raw)) > limit
        assert _is_called_deep(raw, limit) == too_deep

    def test_brackets_inside_text_do_not_count(self) -> None:
        value = {"a": "[" * 100, "b\\": '"' + "{" * 100, "c": ["\\" + "[" * 50]}
        assert parse_json(json.dumps(value).encode()) == value

    @pytest.mark.parametrize(
        "raw",
        [
            b"[" * 100_000,
            b"[" * 100_000 + b"]" * 100_000,
            b'{"a":' * 100_000,
            b"[" + b"[]," * 100 + b"[" * 100,
            b"]" * 100 + b"[" * 100,
        ],
    )
    def test_deep_nesting_is_refused_before_it_costs_anything(self, raw: bytes) -> None:
        with pytest.raises(MalformedJson):
            parse_json(raw)

    def test_shallow_text_with_missing_brackets_is_not_called_deep(self) -> None:
        with pytest.raises(MalformedJson, match="truncated"):
            parse_json(b"[" + b",".join([b"[1]"] * 100))


def _is_called_deep(raw: bytes, limit: int) -> bool:
    try:
        parse_json(raw, max_depth=limit)
    except MalformedJson as refusal:
        return "deeper" in refusal.message
    return False


class TestCost:
    @pytest.mark.parametrize(
        "raw",
        [
            b"[" * 5_000_000 + b"]" * 5_000_000,
            (b"[[]" * 3_300_000),
            b'"' + b'\\"' * 5_000_000,
            b'"' * 10_000_000,
            b"1" * 10_000_000,
            (b"1" * 4299 + b",") * 2300,
            b"\\" * 10_000_000,
            b'{"a":1,' * 1_400_000,
            b"[" + b",".join([b'{"a":1,"A":1}'] * 700_000) + b"]",
        ],
        ids=["deep", "shoots", "quotes", "marks", "digits", "numbers", "slashes", "open", "spellings"],
    )
    def test_ten_hostile_megabytes_take_no_more_than_honest_ones(self, raw: bytes) -> None:
        honest = b"[" + b",".join([b'{"value":"x","display":"Some One"}'] * 290_000) + b"]"
        allowance = 12 * _seconds(honest) + 0.1
        assert _seconds(raw) < allowance


def _seconds(raw: bytes) -> float:
    started = time.perf_counter()
    with contextlib.suppress(MalformedJson):
        parse_json(raw)
    return time.perf_counter() - started


class TestWriting:
    def test_the_text_is_what_javascript_writes_for_tricky_values(self) -> None:
        values: list[Json] = [
            {"b": 1, "2": 1, "a": 1, "10": 1, "1": 1},
            {"4294967294": 1, "4294967295": 2, "a": 3, "0": 4, "00": 5, "01": 6, "-1": 7, "1.5": 8, "1e3": 9},
            {"9999999999": 1, "99999999999": 2, "2": {"z": 1, "1": [{"b": 0, "7": 0}]}},
            {"__proto__": {"a": 1}, "constructor": 2, "toString": 3, "": 4},
            [0, -0.0, 1.0, -1.0, 1.5, 100000.0, 1e5, 123456789.125],
            [1e20, 1e21, 1.5e21, 1e22, 1e-6, 1e-7, 1.5e-7, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3],
            [123456789012345680000.0, 4503599627370497.5, 9007199254740992.0, 1e16, 0.000001234, -1e-7],
            [MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, 0, -1],
            "".join(map(chr, range(1, 256))),
            "\u2028\u2029\ufeff\uffff\U0001f600\x7f\u0080/</script>\\\"'",
            {"key \u2028 \b\f\n\r\t\x1f\x0b": "value"},
            [None, True, False, "", [], {}, [[]], {"a": {}}],
        ]
        texts = [stringify(value) for value in values]
        assert _javascript(texts) == texts
        assert [json.loads(text, parse_int=float) for text in texts] == values

    def test_random_values_are_fixed_points_of_javascript(self) -> None:
        texts: list[str] = []

        @given(_VALUES)
        def collect(value: Json) -> None:
            texts.append(stringify(value))

        collect()
        assert _javascript(texts) == texts

    def test_random_numbers_are_written_as_javascript_writes_them(self) -> None:
        numbers: list[float] = []

        @given(st.floats(allow_nan=False, allow_infinity=False))
        def collect(number: float) -> None:
            numbers.append(number)

        collect()
        numbers += [math.ldexp(1, power) for power in range(-1074, 1024, 7)]
        numbers += [
            float(f"{digits}e{power}")
            for digits in ("1", "1.5", "123456789012345678")
            for power in range(-30, 30)
        ]
        assert _javascript([repr(number) for number in numbers]) == [js_number(number) for number in numbers]

    @given(_VALUES)
    def test_what_is_written_reads_back_as_the_same_doubles(self, value: Json) -> None:
        def safe(node: Json) -> Json:
            if isinstance(node, dict):
                return {key: safe(child) for key, child in node.items()}
            if isinstance(node, list):
                return [safe(child) for child in node]
            if isinstance(node, int) and not isinstance(node, bool) and abs(node) > MAX_SAFE_INTEGER:
                return str(node)
            return node

        assert json.loads(stringify(value), parse_int=float) == safe(value)

    def test_integers_that_javascript_would_round_become_strings(self) -> None:
        value: Json = {"a": 2**53, "b": [-(2**53)], "c": 10**30, "d": 2**53 - 1}
        assert stringify(value) == (
            '{"a":"9007199254740992","b":["-9007199254740992"],'
            '"c":"1000000000000000000000000000000","d":9007199254740991}'
        )

    def test_the_input_is_not_changed(self) -> None:
        value: Json = {"b": 1.0, "1": [2**60]}
        stringify(value)
        assert repr(value) == repr({"b": 1.0, "1": [2**60]})

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {"a\udfff": 1}])
    def test_what_json_cannot_hold_is_an_error(self, value: Json) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the type is the contract
            stringify(value)
