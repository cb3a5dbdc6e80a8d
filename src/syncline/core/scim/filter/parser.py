"""Tokens to a filter tree, with a stack of our own instead of recursion.

Grammar: RFC 7644 §3.4.2.2, and two extensions: one bare word after a comparison operator (E-16), and a
comparison behind a value path (E-17). Text that cannot be read to its end is 400 `invalidFilter`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache

from syncline.core.scim.errors import ScimError, invalid_filter, shorten
from syncline.core.scim.filter.lexer import Kind, Token, tokenize
from syncline.core.scim.filter.nodes import (
    Comparison,
    Filter,
    Literal,
    Not,
    Operator,
    Present,
    ValuePath,
    conjunction,
    disjunction,
)
from syncline.core.scim.filter.values import parse_instant
from syncline.core.scim.names import AttributePath, is_attribute_name, parse_attribute
from syncline.core.scim.quirks import Quirks, quirk
from syncline.core.scim.schema import Attribute, AttributeType, ResourceKind

MAX_DEPTH = 50
MAX_NODES = 500

_NOT_TEXT = frozenset({AttributeType.BOOLEAN, AttributeType.DATE_TIME})
_KEYWORDS = frozenset({"and", "or", "not"})
_BOOLEANS = {"true": True, "false": False}
# What providers ask all day: `userName eq "…"`, with a string that needs no decoding. A word that could be a
# keyword or carry a URN is left to the parser.
_LOOKUP = re.compile(r'([A-Za-z]{4,20}(?:\.[A-Za-z]{2,20})?) eq "([^"\\\x00-\x1f\ud800-\udfff]{0,1024})"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def parse_filter(text: str, kind: ResourceKind, *, quirks: Quirks | None = None) -> Filter | None:
    """Read a filter on resources of a kind; `None` for an empty one, which lists everything.

    Raises `ScimError` 400 `invalidFilter`, also above 8 KiB, 50 levels of brackets or 500 nodes.
    """
    lookup = _LOOKUP.fullmatch(text)
    path = _text_path(lookup[1], kind) if lookup is not None else None
    if lookup is not None and path is not None:
        return Comparison(path, Operator.EQ, lookup[2])
    tokens = tokenize(text)
    if len(tokens) == 1:
        return None
    return _Parser(tokens, kind, None, quirks).run()


@lru_cache(maxsize=256)
def _text_path(name: str, kind: ResourceKind) -> AttributePath | None:
    """Return the path of a name that stands for text and needs no leniency to be read, else None."""
    quirks = Quirks()
    path = parse_attribute(name, kind, quirks=quirks)
    if path.definition is not None and path.sub is None and path.definition.sub("value") is not None:
        path = path.with_sub("value")
    definition = path.definition
    if quirks or definition is None or definition.type in _NOT_TEXT:
        return None
    return path


def parse_value_filter(
    text: str, kind: ResourceKind, parent: AttributePath, *, quirks: Quirks | None = None
) -> Filter:
    """Read what stands between the brackets of a value path; its names are sub-attributes of `parent`.

    Raises `ScimError` 400 `invalidFilter`.
    """
    return _Parser(tokenize(text), kind, parent, quirks).run()


@dataclass(slots=True)
class _Level:
    """An open bracket, or the whole text: the disjunction so far, its last conjunction still growing."""

    opener: str
    negated: bool = False
    path: AttributePath | None = None
    alternatives: list[Filter] = field(default_factory=list)
    conjuncts: list[Filter] = field(default_factory=list)

    def close(self) -> Filter:
        inner = disjunction([*self.alternatives, conjunction(self.conjuncts)])
        if self.path is not None and self.opener == "[":
            return ValuePath(self.path, inner)
        return Not(inner) if self.negated else inner


class _Parser:
    """One pass over the tokens; `_parent` is the attribute of the value path we are in, if any."""

    def __init__(
        self, tokens: list[Token], kind: ResourceKind, parent: AttributePath | None, quirks: Quirks | None
    ) -> None:
        self._tokens = tokens
        self._kind = kind
        self._parent = parent
        self._quirks = quirks if quirks is not None else Quirks()
        self._at = 0
        self._nodes = 0
        self._levels = [_Level("")]

    def run(self) -> Filter:
        """Return the tree, or raise 400."""
        while True:
            self._operand()
            while self._closing():
                self._close()
            token = self._next()
            if token.kind is Kind.END and len(self._levels) == 1:
                return self._levels[0].close()
            self._connective(token)

    def _operand(self) -> None:
        """Read one comparison, opening whatever brackets stand before it."""
        while True:
            token = self._next()
            if token.kind is Kind.BRACKET and token.text == "(":
                self._open(_Level("("))
            elif token.kind is not Kind.WORD:
                raise self._unexpected(token, "an attribute name")
            elif token.text.lower() == "not" and self._peek_is("("):
                self._next()
                self._open(_Level("(", negated=True))
            elif self._peek_is("[", glued=True):
                self._open_value_path(token)
            else:
                self._add(self._test(self._path(token)))
                return

    def _open(self, level: _Level) -> None:
        self._count()
        if len(self._levels) > MAX_DEPTH:
            raise invalid_filter(f"The filter nests deeper than {MAX_DEPTH} levels.")
        self._levels.append(level)

    def _open_value_path(self, token: Token) -> None:
        if self._parent is not None:
            raise invalid_filter(f"The value path at position {token.at + 1} stands inside another one.")
        path = self._path(token)
        if path.sub is not None or path.is_whole_object:
            raise invalid_filter(f"The value path '{shorten(token.text)}' must name a whole attribute.")
        self._next()
        self._open(_Level("[", path=path))
        self._parent = path

    def _closing(self) -> bool:
        token = self._tokens[self._at]
        return token.kind is Kind.BRACKET and token.text in ")]"

    def _close(self) -> None:
        token, level = self._next(), self._levels[-1]
        if (level.opener, token.text) not in (("(", ")"), ("[", "]")):
            raise self._unexpected(token, "the matching bracket")
        following = self._tokens[self._at]
        if token.text == "]" and following.kind is Kind.WORD and following.glued and following.text[0] == ".":
            self._test_same_entry(level)
        closed = self._levels.pop().close()
        if level.opener == "[":
            self._parent = None
        self._levels[-1].conjuncts.append(closed)

    @quirk("E-17", "the comparison joins the value filter, so that one entry satisfies both")
    def _test_same_entry(self, level: _Level) -> None:
        self._quirks.note("E-17")
        token = self._next()
        name = token.text[1:]
        if not is_attribute_name(name) or level.path is None:
            raise self._unexpected(token, "a sub-attribute")
        inner = disjunction([*level.alternatives, conjunction(level.conjuncts)])
        self._count()
        level.alternatives = []
        level.conjuncts = [inner, self._test(level.path.with_sub(name))]

    def _connective(self, token: Token) -> None:
        word = token.text.lower() if token.kind is Kind.WORD else ""
        if word == "or":
            level = self._levels[-1]
            level.alternatives.append(conjunction(level.conjuncts))
            level.conjuncts = []
        elif word != "and":
            raise self._unexpected(token, "'and', 'or' or a closing bracket")

    def _test(self, path: AttributePath) -> Filter:
        """Read operator and value behind a path."""
        token = self._next()
        word = token.text.lower() if token.kind is Kind.WORD else ""
        if word == "pr":
            return Present(path)
        try:
            operator = Operator(word)
        except ValueError:
            raise self._unexpected(token, "an operator") from None
        return self._comparison(path, operator, self._value_token())

    def _value_token(self) -> Token:
        token = self._next()
        following = self._tokens[self._at]
        if token.kind is Kind.TEXT:
            if token.glued or (following.glued and following.kind in (Kind.WORD, Kind.TEXT)):
                raise invalid_filter(f"A space is missing at the string at position {token.at + 1}.")
        elif token.kind is not Kind.WORD or token.text.lower() in _KEYWORDS or self._glued_text(following):
            raise self._unexpected(token, "a value")
        return token

    def _glued_text(self, token: Token) -> bool:
        return token.kind is Kind.TEXT and token.glued

    def _comparison(self, path: AttributePath, operator: Operator, token: Token) -> Filter:
        if token.kind is Kind.WORD and token.text.lower() == "null":
            return _null_test(path, operator)
        definition = path.definition
        if definition is not None and path.sub is None and definition.sub("value") is not None:
            path = path.with_sub("value")
            definition = path.definition
        value = self._literal(definition, token)
        if operator.is_ordering and _is_boolean(definition, value, token):
            raise invalid_filter(f"'{path}' is a boolean and has no order.")
        if definition is not None and definition.type is AttributeType.DATE_TIME:
            _check_date(path, operator, value)
        return Comparison(path, operator, value)

    @quirk("E-22", "quoted booleans compare as booleans")
    @quirk("E-16", "one bare word as the value")
    def _literal(self, definition: Attribute | None, token: Token) -> Literal:
        """Return the token's value in the type of the attribute it is compared with."""
        folded = token.text.lower()
        if definition is not None and definition.type is AttributeType.BOOLEAN:
            return _BOOLEANS.get(folded, token.text)
        if token.kind is Kind.TEXT:
            return token.text
        if definition is None:
            if folded in _BOOLEANS:
                return _BOOLEANS[folded]
            number = _number(token.text)
            if number is not None:
                return number
        self._quirks.note("E-16")
        return token.text

    def _path(self, token: Token) -> AttributePath:
        if token.text.lower() in _KEYWORDS:
            raise self._unexpected(token, "an attribute name")
        try:
            path = parse_attribute(token.text, self._kind, quirks=self._quirks)
        except ScimError as error:
            raise invalid_filter(error.detail) from None
        parent = self._parent
        if parent is None:
            return path
        if path.sub is not None and (path.urn, path.name) == (parent.urn, parent.name):
            return path
        return parent.with_sub(token.text)

    def _add(self, term: Filter) -> None:
        self._count()
        self._levels[-1].conjuncts.append(term)

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise invalid_filter(f"The filter has more than {MAX_NODES} terms.")

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def _peek_is(self, bracket: str, *, glued: bool = False) -> bool:
        token = self._tokens[self._at]
        return token.kind is Kind.BRACKET and token.text == bracket and (token.glued or not glued)

    def _unexpected(self, token: Token, wanted: str) -> ScimError:
        if token.kind is Kind.END:
            return invalid_filter(f"The filter ends where {wanted} is expected.")
        found = shorten(token.text, 40)
        return invalid_filter(f"The filter has '{found}' at position {token.at + 1} instead of {wanted}.")


def _null_test(path: AttributePath, operator: Operator) -> Filter:
    """Return the meaning of a comparison with null: nothing is there, or something is."""
    if operator is Operator.EQ:
        return Not(Present(path))
    if operator is Operator.NE:
        return Present(path)
    raise invalid_filter(f"'{path}' can be compared with null by eq and ne only.")


def _is_boolean(definition: Attribute | None, value: Literal, token: Token) -> bool:
    if definition is not None and definition.type is AttributeType.BOOLEAN:
        return True
    return isinstance(value, bool) or (token.kind is Kind.WORD and token.text.lower() in _BOOLEANS)


def _check_date(path: AttributePath, operator: Operator, value: Literal) -> None:
    if operator in (Operator.CO, Operator.SW, Operator.EW):
        return
    if parse_instant(str(value)) is None:
        raise invalid_filter(f"'{path}' is compared with '{shorten(str(value), 40)}', which is no date.")


def _number(text: str) -> int | float | None:
    """Return the value of a JSON number, `None` for other text; 400 for numbers beyond all bounds."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    try:
        value = float(text) if found[1] or found[2] else int(text)
    except ValueError:
        raise invalid_filter("The filter contains a number with too many digits.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_filter("The filter contains a number beyond all bounds.")
    return value
