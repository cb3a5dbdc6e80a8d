"""A SCIM filter as one SQL condition with bound parameters, meaning what `core.scim.filter.matches` means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, collate, exists, false, func, literal, not_, or_, select, true

from syncline.core.scim.filter import (
    And,
    Comparison,
    Filter,
    Literal,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
    fold_value,
    parse_instant,
)
from syncline.core.scim.names import AttributePath
from syncline.core.scim.schema import ENTERPRISE_URN, Attribute, AttributeType, ResourceKind
from syncline.core.text import fold, index_key
from syncline.store.scim_values import Entries, Place, document_path, moment
from syncline.store.types import from_ms, to_ms

Expression = ColumnElement[Any]
_Reader = Callable[[AttributePath], "_Values"]
# Levels of a filter in one expression; deeper parts become queries of their own.
_CUT_DEPTH = 12


def condition(term: Filter, place: Place) -> Expression:
    """Return the condition on the rows of a place. The filter's depth has been bounded by its parser."""
    return _holds(term, place, lambda path: _values(path, place))


class _Values:
    """The values of an attribute in SQL: how to ask whether any of them passes a test."""

    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        """Tell whether a value passes."""
        raise NotImplementedError

    def present(self) -> Expression:
        """Tell whether there is a value."""
        raise NotImplementedError


class _Nothing(_Values):
    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        return false()

    def present(self) -> Expression:
        return false()


class _Scalar(_Values):
    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        # A comparison with null must be false, also below a NOT.
        return and_(self._expression.is_not(None), test(self._expression))

    def present(self) -> Expression:
        return self._expression.is_not(None)


class _Object(_Values):
    """A complex value as a whole: there or not, equal to nothing."""

    def __init__(self, present: Expression) -> None:
        self._present = present

    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        return false()

    def present(self) -> Expression:
        return self._present


class _Schemas(_Values):
    """The URNs a resource lists: its core schema, always, and those of its extensions."""

    def __init__(self, place: Place) -> None:
        self._core = literal(place.kind.core_urn.lower())
        self._extensions = place.extension_urns()

    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        return or_(test(self._core), _exists(self._extensions, test(self._extensions.sub("urn"))))

    def present(self) -> Expression:
        return true()


class _Many(_Values):
    def __init__(self, entries: Entries, sub: str | None) -> None:
        self.entries = entries
        self.sub = sub

    def any(self, test: Callable[[Expression], Expression]) -> Expression:
        if self.sub is None:
            return false()
        value = self.entries.sub(self.sub)
        return _exists(self.entries, and_(value.is_not(None), test(value)))

    def present(self) -> Expression:
        return _exists(self.entries, self.entries.sub(self.sub).is_not(None) if self.sub else true())


def _exists(entries: Entries, test: Expression) -> Expression:
    return exists(select(literal(1)).select_from(entries.source).where(*entries.where, test))


def _values(path: AttributePath, place: Place) -> _Values:
    definition = path.attribute
    if path.definition is None or definition is None:
        return _Nothing()
    if path.urn is None:
        special = _special(path, place)
        if special is not None:
            return special
    elif path.urn != ENTERPRISE_URN:
        return _Nothing()
    at = document_path(path.urn, path.name)
    if definition.multi_valued:
        return _Many(place.array(*at), path.sub)
    if path.sub is not None:
        return _Scalar(place.text(*at, path.sub))
    return _Object(place.has(*at)) if definition.is_complex else _Scalar(place.text(*at))


def _special(path: AttributePath, place: Place) -> _Values | None:
    """Return the values of what is not in the search document."""
    match path.name:
        case "id":
            return _Scalar(place.columns.id)
        case "meta":
            return _Scalar(place.meta(path.sub)) if path.sub else _Object(true())
        case "schemas":
            return _Schemas(place)
        case "groups" if place.kind is ResourceKind.USER:
            return _Many(place.groups(), path.sub)
        case "members" if place.kind is ResourceKind.GROUP:
            return _Many(place.members(), path.sub)
        case "password":
            return _Nothing()
    return None


def _holds(term: Filter, place: Place, read: _Reader, depth: int = 0) -> Expression:
    # PostgreSQL needs no cuts, and without statistics it would join the pieces row by row.
    is_cut = depth == _CUT_DEPTH and not place.is_postgres and not place.in_entry
    if is_cut and not isinstance(term, Comparison | Present):
        return _cut(term, place)
    depth += 1
    match term:
        case Comparison():
            return _compare(term, place, read(term.path))
        case Present(path):
            return read(path).present()
        case And(terms):
            return and_(*(_holds(part, place, read, depth) for part in terms))
        case Or(terms):
            return or_(*(_holds(part, place, read, depth) for part in terms))
        case Not(inner):
            return not_(_holds(inner, place, read, depth))
        case ValuePath(path, inner):
            return _value_path(path, inner, place)


def _cut(term: Filter, place: Place) -> Expression:
    """Return a deep part of a filter as a query of its own: SQLite's parser knows no nesting that deep."""
    columns = place.columns
    inner = select(columns.id).where(columns.directory_id == place.directory_id, condition(term, place))
    return columns.id.in_(select(inner.cte(place.next_name("deep")).c.id))


def _value_path(path: AttributePath, inner: Filter, place: Place) -> Expression:
    definition = path.attribute
    if definition is None or path.definition is None or not definition.is_complex:
        return false()
    if not definition.multi_valued:
        whole = _values(path, place).present()
        return and_(whole, _holds(inner, place, lambda sub: _values(sub, place) if sub.sub else _Nothing()))
    found = _values(path, place)
    if not isinstance(found, _Many):
        return false()
    entries = found.entries

    def read(sub: AttributePath) -> _Values:
        known = sub.definition is not None and sub.sub
        return _Scalar(entries.sub(str(sub.sub))) if known else _Nothing()

    place.in_entry = True
    try:
        return _exists(entries, _holds(inner, place, read))
    finally:
        place.in_entry = False


def _compare(term: Comparison, place: Place, values: _Values) -> Expression:
    definition = term.path.definition
    if term.operator is Operator.NE:
        same = _test(term, Operator.EQ, definition, place)
        return or_(not_(values.present()), _differs(values, same))
    test = _test(term, term.operator, definition, place)
    if term.operator is Operator.EQ:
        return _narrowed(term, place, values.any(test))
    return values.any(test)


def _differs(values: _Values, same: Callable[[Expression], Expression]) -> Expression:
    # An object as a whole equals nothing, so it always differs; so does an entry of which no part is named.
    is_whole = isinstance(values, _Object) or (isinstance(values, _Many) and values.sub is None)
    return true() if is_whole else values.any(lambda value: not_(same(value)))


def _narrowed(term: Comparison, place: Place, exact: Expression) -> Expression:
    """Let an index find the few rows for the exact condition."""
    path = term.path
    if path.urn is not None or path.sub is not None or not isinstance(term.value, str):
        return exact
    columns = place.columns
    if path.name == "userName" and place.kind is ResourceKind.USER:
        return and_(columns.user_name_key == index_key(term.value), exact)
    if path.name == "displayName" and place.kind is ResourceKind.GROUP:
        return and_(columns.display_name_key == index_key(term.value), exact)
    if path.name == "externalId":
        return and_(columns.external_id_key == index_key(term.value, folded=False), exact)
    return exact


def _test(
    term: Comparison, operator: Operator, definition: Attribute | None, place: Place
) -> Callable[[Expression], Expression]:
    """Return the test of one value that is there."""
    value = term.value
    if definition is not None and definition.type is AttributeType.DATE_TIME:
        return _date_test(operator, value)
    if isinstance(value, bool):
        text = "true" if value else "false"
        return (lambda found: func.lower(found) == text) if operator is Operator.EQ else lambda _: false()
    if definition is not None and definition.type is AttributeType.BOOLEAN:
        return lambda _: false()
    if not isinstance(value, str):
        return lambda _: false()
    return _text_test(operator, definition, value, place)


def _text_test(
    operator: Operator, definition: Attribute | None, value: str, place: Place
) -> Callable[[Expression], Expression]:
    exact = definition is not None and definition.case_exact
    key = fold_value(definition, value)
    part = value if exact else fold(value)
    match operator:
        case Operator.EQ:
            return lambda found: found == key
        case Operator.CO:
            position = func.strpos if place.is_postgres else func.instr
            return lambda found: position(found, part) > 0
        case Operator.SW:
            return lambda found: func.substr(found, 1, len(part)) == part
        case Operator.EW:
            return lambda found: _ending(found, len(part), place) == part
    return lambda found: _ordered(operator, collate(found, "C") if place.is_postgres else found, key)


def _ending(found: Expression, length: int, place: Place) -> Expression:
    if length == 0:
        return literal("")
    return func.right(found, length) if place.is_postgres else func.substr(found, -length)


def _date_test(operator: Operator, value: Literal) -> Callable[[Expression], Expression]:
    instant = parse_instant(str(value))
    if instant is None or operator in (Operator.CO, Operator.SW, Operator.EW):
        return lambda _: false()
    # Columns hold whole milliseconds: a finer literal lies between two of them.
    floor = from_ms(to_ms(instant))
    finer = floor != instant
    if operator is Operator.EQ:
        return (lambda _: false()) if finer else lambda found: found == moment(floor)
    if finer and operator is Operator.GE:
        operator = Operator.GT
    if finer and operator is Operator.LT:
        operator = Operator.LE
    return lambda found: _ordered(operator, found, moment(floor))


def _ordered(operator: Operator, found: Any, key: Any) -> Any:
    match operator:
        case Operator.GT:
            return found > key
        case Operator.GE:
            return found >= key
        case Operator.LT:
            return found < key
        case _:
            return found <= key
