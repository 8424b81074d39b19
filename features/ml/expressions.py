"""Expressions over the fields of an event: read by a whitelist, never by Python's `eval`.

Names, numbers, texts, True and False; + - * / and comparisons (`1 < amount <= 5`), `in` and
`not in` a list of constants; `and`, `or`, `not`; `a if condition else b`; and the functions of
`functions.py` with round(x, digits), coalesce(a, b, ...), bucket(number, edge, ...) and
group(text, name=("one", "another"), ...).

Arithmetic or a comparison with a missing operand is missing, and so is what no finite number can
hold: x/0, the log of 0. In `and`, `or`, `not` and `if`, missing counts as false. Times are in UTC.
"""

import ast
import difflib
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from features.ml import functions, terms
from features.ml.errors import ExpressionError
from features.ml.schema import Kind
from features.ml.terms import Column, Columns, Constant, Row, Term

MAX_TEXT = 500
MAX_DEPTH = 50
MAX_NAMES_SHOWN = 10
MAX_DIGITS = 15
_SPECIAL = ("round", "coalesce", "group", "bucket")
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_ESCAPE = re.compile(r"\\[\\'\"]")
_ODD = re.compile(r"[^\x20-\x7e]|[#\\;`$?]|!(?!=)")
_SPOKEN: dict[Kind, str] = {
    "numeric": "a number", "boolean": "true or false", "category": "text", "time": "a time",
}  # fmt: skip
_FAMILIES: dict[Kind, functions.Family] = {
    "numeric": "number", "boolean": "number", "category": "text", "time": "time",
}  # fmt: skip
_FAMILY_SPOKEN = {"number": "a number", "text": "text", "time": "a time"}
_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Eq: "==", ast.NotEq: "!=",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A checked expression. `names` are the fields and features that it reads.

    `value(row)` takes a mapping with each of `names` and gives float, bool, str or None (int
    microseconds when `kind` is time). `column(columns, rows)` gives the same for whole columns
    of `rows` rows, in the form that `terms.py` describes; it may be one of `columns` itself.
    """

    text: str
    kind: Kind
    names: frozenset[str]
    value: Callable[[Row], Any] = field(repr=False, compare=False)
    column: Callable[[Columns, int], Column] = field(repr=False, compare=False)


def parse(
    text: str, kinds: Mapping[str, Kind], *, refused: Mapping[str, str] | None = None
) -> Expression:
    """Read an expression over the names of `kinds`. `refused` maps names that it must not use to
    the sentence that says why.

    Raises `ExpressionError` with one sentence that quotes the offending part.
    """
    text = re.sub(r"[\t\r\n]", " ", text).strip()
    tree = _tree(text, kinds)
    reader = _Reader(text, kinds, refused or {})
    term = reader.term(tree)
    if not isinstance(tree, ast.Name):
        term = _quiet(term)
    return Expression(text, term.kind, frozenset(reader.names), term.value, term.column)


def _quiet(term: Term) -> Term:
    """Without numpy's warnings: what they tell of becomes a missing value."""
    inner = term.column

    def column(columns: Columns, rows: int) -> Column:
        with np.errstate(all="ignore"):
            return inner(columns, rows)

    return Term(term.kind, term.value, column, term.text)


def _tree(text: str, kinds: Mapping[str, Kind]) -> ast.expr:
    if not text:
        raise ExpressionError("is empty")
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"{_cut(text)} is longer than {MAX_TEXT} characters")
    bare = _LITERAL.sub("", text)
    odd = _ODD.search(bare)
    if odd:
        raise ExpressionError(f"the character {odd[0]!a} is not allowed outside of quotes")
    if "\\" in _ESCAPE.sub("", text):
        raise ExpressionError(f"{_cut(text)} has a backslash that is not doubled")
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(_syntax_problem(text, bare, error, kinds)) from None
    except (RecursionError, MemoryError):
        raise ExpressionError(f"{_cut(text)} is nested too deeply") from None
    except ValueError:  # a NUL or half a character
        raise ExpressionError(f"{_cut(text)} holds a character that can't be read") from None
    if _depth(tree) > MAX_DEPTH:
        raise ExpressionError(f"{_cut(text)} is nested too deeply")
    return tree


def _syntax_problem(text: str, bare: str, error: SyntaxError, kinds: Mapping[str, Kind]) -> str:
    for word in re.findall(r"\w+", bare):
        if keyword.iskeyword(word) and word in kinds:
            return f"{word!r} is a word of the language, so the field can't be used"
    rest = text[error.offset - 1 :].strip() if error.offset else ""
    return f"{_cut(text)} does not parse at {_cut(rest, 20) if rest else 'its end'}"


def _depth(tree: ast.expr) -> int:
    """Without recursion, as the tree may be too deep for it."""
    deepest, left = 0, [(tree, 1)]
    while left:
        node, depth = left.pop()
        deepest = max(deepest, depth)
        left += [(x, depth + 1) for x in ast.iter_child_nodes(node)]  # type: ignore[misc]
    return deepest


def _cut(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 3] + "...")


class _Reader:
    """Turns a syntax tree into terms, refusing every node that it does not know."""

    def __init__(self, text: str, kinds: Mapping[str, Kind], refused: Mapping[str, str]) -> None:
        self._text = text
        self._kinds = kinds
        self._refused = refused
        self.names: set[str] = set()

    def term(self, node: ast.expr) -> Term:
        match node:
            case ast.Name():
                return self._name(node)
            case ast.Constant():
                return terms.constant(self._constant(node), self._part(node))
            case ast.UnaryOp() | ast.BinOp():
                return self._operation(node)
            case ast.BoolOp():
                parts = [self._condition(value) for value in node.values]
                join = terms.every if isinstance(node.op, ast.And) else terms.either
                return join(parts, self._part(node))
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp():
                test = self._condition(node.test)
                yes, no = self._alike(node, [node.body, node.orelse])
                return terms.choice(test, yes, no, self._part(node))
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, name)
        return self._refuse(node)

    def _part(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._text, node) or ast.unparse(node)

    def _refuse(self, node: ast.AST, why: str = "is not allowed in an expression") -> NoReturn:
        raise ExpressionError(f"{_cut(self._part(node))} {why}")

    # ---- leaves

    def _name(self, node: ast.Name) -> Term:
        name = node.id
        if name in self._refused:
            raise ExpressionError(f"{name!r} {self._refused[name]}")
        if name not in self._kinds:
            if name in functions.FUNCTIONS or name in _SPECIAL:
                self._refuse(node, f"is a function: write {name}(...)")
            self._refuse(node, f"is unknown; known: {_closest(name, self._kinds)}")
        self.names.add(name)
        return terms.named(name, self._kinds[name])

    def _constant(self, node: ast.expr) -> Constant:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            positive = self._constant(node.operand)
            if type(positive) is not float:
                self._refuse(node, "is no number")
            return -positive
        if not isinstance(node, ast.Constant):
            self._refuse(node, "must be a constant here")
        value: Any = node.value
        if type(value) is int:
            value = float(value) if len(str(value)) <= 300 else float("inf")  # noqa: PLR2004
        if type(value) is float and value == float("inf"):
            self._refuse(node, "is too large")
        if type(value) not in (float, bool, str):
            self._refuse(node, "is no number, text, True or False")
        found: Constant = value
        return found

    def _constants(self, node: ast.expr) -> list[Constant]:
        if not isinstance(node, ast.Tuple | ast.List) or not node.elts:
            self._refuse(node, 'must be a list of constants, such as ("a", "b")')
        return [self._constant(element) for element in node.elts]

    # ---- operators

    def _operation(self, node: ast.UnaryOp | ast.BinOp) -> Term:
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return terms.negation(self._condition(node.operand), self._part(node))
            if isinstance(node.op, ast.USub):
                return terms.negative(self._typed(node.operand, "number", "-"), self._part(node))
            self._refuse(node)
        sign = _SIGNS.get(type(node.op))
        if sign is None:
            self._refuse(node)
        left = self._typed(node.left, "number", sign)
        right = self._typed(node.right, "number", sign)
        return terms.arithmetic(left, sign, right, self._part(node))

    def _typed(self, node: ast.expr, family: functions.Family, user: str) -> Term:
        """A term that `user`, an operator or a function, can take."""
        term = self.term(node)
        if _FAMILIES[term.kind] != family:
            needed = _FAMILY_SPOKEN[family]
            self._refuse(node, f"is {_SPOKEN[term.kind]}, but {user} needs {needed}")
        return terms.as_number(term) if family == "number" else term

    def _condition(self, node: ast.expr) -> Term:
        term = self.term(node)
        if term.kind != "boolean":
            self._refuse(node, f"is {_SPOKEN[term.kind]}, where true or false is needed")
        return term

    def _alike(self, whole: ast.expr, nodes: Iterable[ast.expr]) -> list[Term]:
        """Terms of one kind."""
        found = [self.term(node) for node in nodes]
        for term in found[1:]:
            if term.kind != found[0].kind:
                mixed = f"{_SPOKEN[found[0].kind]} in one place and {_SPOKEN[term.kind]} in another"
                self._refuse(whole, f"is {mixed}")
        return found

    def _comparison(self, node: ast.Compare) -> Term:
        links: list[Term] = []
        left_node = node.left
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            links.append(self._link(node, left_node, op, right_node))
            left_node = right_node
        return links[0] if len(links) == 1 else terms.chain(links, self._part(node))

    def _link(self, whole: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Term:
        if isinstance(op, ast.In | ast.NotIn):
            return self._member(whole, self.term(left), op, right)
        sign = _SIGNS.get(type(op))
        if sign is None:
            self._refuse(whole, "is not allowed in an expression: compare with == or !=")
        a, b = self.term(left), self.term(right)
        if _FAMILIES[a.kind] != _FAMILIES[b.kind]:
            self._refuse(whole, f"compares {_SPOKEN[a.kind]} with {_SPOKEN[b.kind]}")
        if a.kind == "category" and sign not in ("==", "!="):
            self._refuse(whole, "orders text, which has no order: use ==, != or in")
        return terms.comparison(a, sign, b, self._part(whole))

    def _member(self, whole: ast.Compare, term: Term, op: ast.cmpop, node: ast.expr) -> Term:
        constants = self._constants(node)
        for value in constants:
            if ("text" if isinstance(value, str) else "number") != _FAMILIES[term.kind]:
                kind = _SPOKEN["category" if isinstance(value, str) else "numeric"]
                self._refuse(whole, f"looks for {kind} in {_SPOKEN[term.kind]}")
        return terms.member(term, constants, isinstance(op, ast.NotIn), self._part(whole))

    # ---- functions

    def _call(self, node: ast.Call, name: str) -> Term:
        if name in _SPECIAL:
            build: Callable[[ast.Call], Term] = getattr(self, f"_{name}")
            return build(node)
        function = functions.FUNCTIONS.get(name)
        if function is None:
            known = _closest(name, [*functions.FUNCTIONS, *_SPECIAL])
            self._refuse(node.func, f"is no function; known: {known}")
        self._count(node, name, function.low, function.high)
        found = [self._typed(arg, function.family, name) for arg in node.args]
        return function.build(found, self._part(node))

    def _count(self, node: ast.Call, name: str, low: int, high: int | None) -> None:
        if node.keywords:
            self._refuse(node, f"has a named value, which {name} does not take")
        if not low <= len(node.args) <= (high or len(node.args)):
            count = str(low) if high == low else f"{low} to {high}" if high else f"{low} or more"
            self._refuse(node, f"has {len(node.args)} values, where {name} takes {count}")

    def _round(self, node: ast.Call) -> Term:
        self._count(node, "round", 1, 2)
        term = self._typed(node.args[0], "number", "round")
        if len(node.args) == 1:
            return functions.FUNCTIONS["round"].build([term], self._part(node))
        digits = self._constant(node.args[1])
        if digits not in range(MAX_DIGITS + 1) or isinstance(digits, bool):
            self._refuse(node, f"must round to 0 to {MAX_DIGITS} digits")
        return functions.rounded(term, int(digits), self._part(node))

    def _coalesce(self, node: ast.Call) -> Term:
        self._count(node, "coalesce", 2, None)
        return terms.first_present(self._alike(node, node.args), self._part(node))

    def _bucket(self, node: ast.Call) -> Term:
        self._count(node, "bucket", 2, None)
        term = self._typed(node.args[0], "number", "bucket")
        edges: list[Any] = [self._constant(edge) for edge in node.args[1:]]
        if any(type(edge) is not float for edge in edges) or edges != sorted(set(edges)):
            self._refuse(node, "must have increasing numbers as its edges")
        return functions.bucketed(term, edges, self._part(node))

    def _group(self, node: ast.Call) -> Term:
        if len(node.args) != 1 or not node.keywords:
            self._refuse(node, 'must have a text and its groups, such as food=("grocery",)')
        term = self._typed(node.args[0], "text", "group")
        groups: dict[str, str] = {}
        for group in node.keywords:
            if group.arg is None:
                self._refuse(node)
            for value in self._constants(group.value):
                if not isinstance(value, str):
                    self._refuse(group.value, "must hold texts only")
                if value in groups:
                    self._refuse(node, f"has {_cut(value)} in two groups")
                groups[value] = group.arg
        return functions.grouped(term, groups, self._part(node))


def _closest(name: str, known: Iterable[str]) -> str:
    return ", ".join(difflib.get_close_matches(name, list(known), MAX_NAMES_SHOWN, cutoff=0.0))
