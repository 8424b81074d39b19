"""Expressions: what they mean, for one event and for columns alike, and what they refuse."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.ml.errors import ExpressionError
from features.ml.expressions import MAX_TEXT, Expression, parse
from features.ml.schema import Kind
from features.ml.terms import MISSING_TIME

KINDS: dict[str, Kind] = {
    "amount": "numeric", "mean": "numeric", "online": "boolean", "new": "boolean",
    "category": "category", "country": "category", "event_time": "time", "opened": "time",
}  # fmt: skip


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


ROW: dict[str, Any] = {
    "amount": 120.0, "mean": 40.0, "online": True, "new": False, "category": "grocery",
    "country": "FR", "event_time": moment("2023-04-15 23:30"), "opened": moment("2023-04-15 06:59"),
}  # fmt: skip


def columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The rows as expressions read them offline."""
    found: dict[str, np.ndarray] = {}
    for name, kind in KINDS.items():
        values = [row[name] for row in rows]
        if kind == "category":
            found[name] = np.array(values, dtype=object)
        elif kind == "time":
            found[name] = np.array([MISSING_TIME if v is None else v for v in values], np.int64)
        else:
            found[name] = np.array([np.nan if v is None else v for v in values], np.float64)
    return found


def as_values(expression: Expression, column: np.ndarray) -> list[Any]:
    """A column's entries as `value` gives them."""
    found: list[Any] = []
    for entry in column.tolist():
        if (
            entry is None
            or entry == MISSING_TIME
            or (isinstance(entry, float) and math.isnan(entry))
        ):
            found.append(None)
        else:
            found.append(bool(entry) if expression.kind == "boolean" else entry)
    return found


def both(text: str, **fields: Any) -> Any:
    """The expression's value, which its column must have too."""
    expression, row = parse(text, KINDS), ROW | fields
    value = expression.value(row)
    assert as_values(expression, expression.column(columns([row] * 3), 3)) == [value] * 3
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount", 120.0),
        ("amount / mean", 3.0),
        ("-amount + 2 * mean - 1", -41.0),
        ("(amount + mean) * 0.5", 80.0),
        ("online", True),
        ("online + new + 1", 2.0),
        ("-online", -1.0),
        ("amount > 100", True),
        ("0 < mean <= 40 < amount", True),
        ("0 < mean < 40 < amount", False),
        ("online == True", True),
        ("category == 'grocery'", True),
        ("category != country", True),
        ("'grocery' == category and not new", True),
        ("new or amount > 500", False),
        ("category in ('grocery', 'restaurant')", True),
        ("category not in ['grocery']", False),
        ("amount in (-1, 120)", True),
        ("country if online else category", "FR"),
        ("1 if amount > 100 else 0", 1.0),
        ("event_time > opened", True),
        ("log(amount)", math.log(120)),
        ("log1p(mean)", math.log1p(40)),
        ("sqrt(amount + 1)", 11.0),
        ("abs(mean - amount)", 80.0),
        ("min(amount, mean, 50)", 40.0),
        ("max(amount, online)", 120.0),
        ("round(2.5)", 2.0),
        ("round(amount / 7, 2)", 17.14),
        ("round(2.675, 2)", 2.67),
        ("ratio(amount, mean)", 3.0),
        ("coalesce(amount, 0)", 120.0),
        ("hour(event_time)", 23.0),
        ("weekday(event_time)", 5.0),
        ("is_weekend(event_time)", True),
        ("is_night(event_time)", False),
        ("is_night(opened)", True),
        ("day_of_month(event_time)", 15.0),
        ("seconds_between(opened, event_time)", 59_460.0),
        ("lower(country)", "fr"),
        ("length(category)", 7.0),
        ("group(category, food=('grocery', 'restaurant'), risky=('online',))", "food"),
        ("group(country, domestic=['US'])", "other"),
        ("bucket(amount, 10, 100, 1000)", 2.0),
        ("bucket(mean, 40, 41)", 1.0),
        ("bucket(-mean, -50, 0)", 1.0),
        ("  amount\n  + mean  ", 160.0),
        ("category == 'Café'", False),
        (r"lower('A\\B\'') == 'a\\b\''", True),
    ],
)
def test_an_expression_has_one_value_for_an_event_and_for_columns(text: str, expected: Any) -> None:
    value = both(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "amount / 0", "ratio(amount, mean - 40)", "log(0)", "log(-amount)", "log1p(-1)",
        "sqrt(-amount)", "amount * 1e308 * 1e10", "1e308 + 1e308", "-1e308 - 1e308",
        "1e-300 / 1e300 / 0", "amount / 1e-308 / 1e-308", "round(1e308 * 10, 2)",
    ],
)  # fmt: skip
def test_what_no_finite_number_can_hold_is_missing(text: str) -> None:
    assert both(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount + 1", None),
        ("-amount", None),
        ("amount > 100", None),
        ("amount != amount", None),
        ("1 < 0 < amount", None),
        ("min(amount, mean)", None),
        ("amount in (1, 2)", None),
        ("amount not in (1, 2)", None),
        ("bucket(amount, 1)", None),
        ("round(amount)", None),
        ("category == 'grocery'", None),
        ("category not in ('a', 'b')", None),
        ("lower(category)", None),
        ("length(category)", None),
        ("group(category, food=('grocery',))", None),
        ("hour(opened)", None),
        ("is_night(opened)", None),
        ("opened < event_time", None),
        ("seconds_between(opened, event_time)", None),
        ("new", None),
        ("new + 1", None),
        ("new == False", None),
        ("amount > 100 and online", False),
        ("amount > 100 or online", True),
        ("not amount > 100", True),
        ("not new", True),
        ("1 if new else 2", 2.0),
        ("'big' if amount > 100 else 'small'", "small"),
        ("coalesce(amount, mean)", 40.0),
        ("coalesce(amount, amount / 0, 7)", 7.0),
        ("coalesce(category, 'none')", "none"),
        ("coalesce(opened, event_time) == event_time", True),
        ("coalesce(new, True)", True),
    ],
)
def test_missing_operands(text: str, expected: Any) -> None:
    assert both(text, amount=None, new=None, category=None, opened=None) == expected


def test_an_integer_too_large_for_a_number_is_missing() -> None:
    assert parse("amount + 1", KINDS).value(ROW | {"amount": 10**400}) is None


def test_numpy_scalars_do_not_leak_out_of_values() -> None:
    row = {
        "amount": np.float32(2), "mean": np.int64(4), "online": np.bool_(True), "new": np.True_,
        "category": np.str_("grocery"), "country": "FR", "event_time": np.int64(0), "opened": 0,
    }  # fmt: skip
    for text in ("amount", "mean", "online", "category", "event_time", "amount < mean",
                 "hour(event_time)", "online + 1", "is_weekend(event_time)"):  # fmt: skip
        assert type(parse(text, KINDS).value(row)) in (float, bool, str, int)


def test_a_column_of_times_may_be_numpys_own() -> None:
    times = np.array(["2023-04-15T23:30:00", "NaT"], dtype="datetime64[ms]")
    found = parse("hour(event_time)", KINDS).column({"event_time": times}, 2)
    np.testing.assert_array_equal(found, [23.0, np.nan])


def test_an_expression_knows_its_kind_and_the_names_that_it_reads() -> None:
    expression = parse("amount > 3 * mean if online else is_night(event_time)", KINDS)
    assert expression.kind == "boolean"
    assert expression.names == {"amount", "mean", "online", "event_time"}
    assert parse("'a' if new else category", KINDS).kind == "category"


# ---- the two executions agree on anything

NUMBERS = st.none() | st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e308, -1e308, 5e-324, 2.675]) | (
    st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
TIMES = st.none() | st.integers(moment("1900-01-01"), moment("2200-01-01"))
TEXTS = st.none() | st.sampled_from(["grocery", "GROCERY", "online", "", "İstanbul"]) | st.text()
STRATEGIES = {
    "numeric": NUMBERS, "boolean": st.none() | st.booleans(), "category": TEXTS, "time": TIMES,
}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries({name: STRATEGIES[kind] for name, kind in KINDS.items()}), max_size=8
)


@st.composite
def written(draw: st.DrawFn, kind: str = "any", depth: int = 3) -> str:
    """The text of an expression of a kind."""
    if kind == "any":
        kind = draw(st.sampled_from(["numeric", "boolean", "category", "time"]))
    names = [name for name, its_kind in KINDS.items() if its_kind == kind]
    constants = {
        "numeric": ["0", "1", "2.5", "1e300"], "boolean": ["True", "False"],
        "category": ["'grocery'", "'fr'"], "time": [],
    }[kind]  # fmt: skip
    if depth == 0:
        return draw(st.sampled_from(names + constants))
    choices = [f"<{kind}> if <boolean> else <{kind}>", f"coalesce(<{kind}>, <{kind}>)", names[0]]
    shape = draw(st.sampled_from(SHAPES[kind] + choices))
    return re.sub(
        "<([a-z]+)>", lambda part: f"({draw(written(kind=part[1], depth=depth - 1))})", shape
    )


SHAPES = {
    "numeric": [
        "<numeric> + <numeric>", "<numeric> - <boolean>", "<numeric> * <numeric>",
        "<numeric> / <numeric>", "-<numeric>", "log(<numeric>)", "log1p(<numeric>)",
        "sqrt(<numeric>)", "abs(<boolean>)", "min(<numeric>, <boolean>, <numeric>)",
        "max(<numeric>, <numeric>)", "round(<numeric>)", "round(<numeric>, 3)",
        "ratio(<numeric>, <numeric>)", "hour(<time>)", "weekday(<time>)", "day_of_month(<time>)",
        "seconds_between(<time>, <time>)", "length(<category>)", "bucket(<numeric>, -1, 0, 1e9)",
    ],
    "boolean": [
        "<numeric> < <numeric>", "<numeric> <= <boolean> != <numeric>", "<time> >= <time>",
        "<category> == <category>", "<category> != <category>", "<numeric> not in (0, 1, 2.5)",
        "<category> in ('grocery', 'fr')", "<boolean> and <boolean> and <boolean>",
        "<boolean> or <boolean>", "not <boolean>", "is_night(<time>)", "is_weekend(<time>)",
        "<boolean> in (True,)",
    ],
    "category": ["lower(<category>)", "group(<category>, a=('grocery',), b=('fr', ''))"],
    "time": ["opened"],
}  # fmt: skip


@given(written(), ROWS)
@settings(deadline=None, max_examples=400)
def test_values_and_columns_agree_on_any_rows(text: str, rows: list[dict[str, Any]]) -> None:
    assume(len(text) <= MAX_TEXT)
    expression = parse(text, KINDS)
    values = [expression.value(row) for row in rows]
    found = expression.column(columns(rows), len(rows))
    assert len(found) == len(rows)
    assert as_values(expression, found) == values
    types = {"numeric": float, "boolean": bool, "category": str, "time": int}
    assert all(value is None or type(value) is types[expression.kind] for value in values)


@given(TIMES.filter(lambda time: time is not None))
def test_the_parts_of_a_time_are_the_calendars(time: int) -> None:
    row = ROW | {"event_time": time}
    then = datetime.fromtimestamp(time // 1_000_000, UTC)
    assert parse("day_of_month(event_time)", KINDS).value(row) == then.day
    assert parse("hour(event_time)", KINDS).value(row) == then.hour
    assert parse("weekday(event_time)", KINDS).value(row) == then.weekday()


# ---- refusals


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        ("__import__('os')", "'__import__'", "is no function"),
        ("__import__('os').system('id')", "__import__('os').system('id')", "not allowed"),
        ("amount.real", "'amount.real'", "not allowed"),
        ("amount.__class__.__bases__", "'amount.__class__.__bases__'", "not allowed"),
        ("lambda: amount", "'lambda: amount'", "not allowed"),
        ("[x for x in (1, 2)]", "'[x for x in (1, 2)]'", "not allowed"),
        ("f'{amount}'", "f'{amount}'", "not allowed"),
        ("1<<99", "'1<<99'", "not allowed"),
        ("9**9**9", "'9**9**9'", "not allowed"),
        ("amount // 2", "'amount // 2'", "not allowed"),
        ("amount % 2", "'amount % 2'", "not allowed"),
        ("~amount", "'~amount'", "not allowed"),
        ("amount | mean", "'amount | mean'", "not allowed"),
        ("amount[0]", "'amount[0]'", "not allowed"),
        ("(amount, mean)", "'(amount, mean)'", "not allowed"),
        ("{'a': 1}", "{'a': 1}", "not allowed"),
        ("(x := 1)", "'x := 1'", "not allowed"),
        ("await amount", "'await amount'", "not allowed"),
        ("amount is 1", "'amount is 1'", "compare with =="),
        ("log(*amount)", "'*amount'", "not allowed"),
        ("log(x=1)", "'log(x=1)'", "named value"),
        ("amount = 1", "'= 1'", "does not parse"),
        ("amount >", "'amount >'", "at its end"),
        ("amount mean", "amount mean", "does not parse"),
        ("yield", "'yield'", "does not parse"),
        ("'open", "open", "does not parse"),
        ("amount; 1", "';'", "not allowed"),
        ("amount # all of it", "'#'", "not allowed"),
        ("ámount", r"'\xe1'", "not allowed"),
        ("ａmount", r"'\uff41'", "not allowed"),
        ("\ud800", r"'\ud800'", "not allowed"),
        ("country == '\ud800'", r"\ud800", "can't be read"),
        ("country == '\x00'", r"\x00", "does not parse"),
        ("country == '\\d'", r"'\\d'", "backslash"),
        ("None", "'None'", "is no number"),
        ("amount == None", "'None'", "is no number"),
        ("1j", "'1j'", "is no number"),
        ("b'a'", "b'a'", "is no number"),
        ("...", "'...'", "is no number"),
        ("1e999", "'1e999'", "too large"),
        ("9" * 400, "999", "too large"),
        ("amout + 1", "'amout'", "known: amount, "),
        ("log", "'log'", "is a function: write log(...)"),
        ("logg(amount)", "'logg'", "known: log, "),
        ("category + 1", "'category'", "is text, but + needs a number"),
        ("'a' * 9", "\"'a'\"", "is text, but * needs a number"),
        ("-category", "'category'", "is text, but - needs a number"),
        ("event_time - opened", "'event_time'", "is a time, but - needs a number"),
        ("hour(amount)", "'amount'", "is a number, but hour needs a time"),
        ("log(category)", "'category'", "is text, but log needs a number"),
        ("lower(amount)", "'amount'", "is a number, but lower needs text"),
        ("category == 1", "'category == 1'", "compares text with a number"),
        ("amount < opened", "'amount < opened'", "compares a number with a time"),
        ("category < country", "'category < country'", "which has no order"),
        ("amount in 'abc'", "'abc'", "must be a list of constants"),
        ("amount in ()", "'()'", "must be a list of constants"),
        ("amount in (mean, 1)", "'mean'", "must be a constant"),
        ("amount in (1, 'a')", "in (1, 'a')", "looks for text in a number"),
        ("opened in (1, 2)", "'opened in (1, 2)'", "looks for a number in a time"),
        ("not amount", "'amount'", "where true or false is needed"),
        ("category and online", "'category'", "where true or false is needed"),
        ("1 if amount else 2", "'amount'", "where true or false is needed"),
        ("amount if online else category", "else category'", "a number in one place and text"),
        ("coalesce(amount, new)", "'coalesce(amount, new)'", "a number in one place"),
        ("coalesce(amount)", "'coalesce(amount)'", "has 1 values, where coalesce takes 2 or more"),
        ("ratio(amount)", "'ratio(amount)'", "has 1 values, where ratio takes 2"),
        ("round(amount, 1, 2)", "'round(amount, 1, 2)'", "takes 1 to 2"),
        ("round(amount, 2.5)", "'round(amount, 2.5)'", "0 to 15 digits"),
        ("round(amount, True)", "'round(amount, True)'", "0 to 15 digits"),
        ("bucket(amount, 5, 1)", "'bucket(amount, 5, 1)'", "increasing numbers"),
        ("bucket(amount, 'a')", "bucket(amount, 'a')", "increasing numbers"),
        ("bucket(amount, mean)", "'mean'", "must be a constant"),
        ("group(category)", "'group(category)'", "its groups"),
        ("group(category, a=('x', 1))", "('x', 1)", "texts only"),
        ("group(category, a=('x',), b=('x',))", "'x'", "in two groups"),
        ("group(category, **category)", "**category", "not allowed"),
        ("", "", "is empty"),
        ("   ", "", "is empty"),
    ],
)  # fmt: skip
def test_a_refusal_quotes_the_offending_part(text: str, part: str, why: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(text, KINDS)
    sentence = str(refused.value)
    assert part in sentence
    assert why in sentence
    assert len(sentence) < 250
    assert sentence.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "1" + ")" * 10_000, "(" * 240 + "1" + ")" * 240, "-" * 499 + "1",
        "1" + "+1" * 249, "not " * 120 + "online", "abs(" * 99 + "1" + ")" * 99, "amount" * 200,
    ],
)  # fmt: skip
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="longer than|nested|does not parse"):
        parse(text, KINDS)


def problem(text: str) -> str:
    try:
        parse(text, KINDS)
    except ExpressionError as error:
        return str(error)
    return ""


@given(st.text(max_size=600) | st.text(alphabet="amount()'\"+-*/<>=! ,.0123[]{}:\\\n", max_size=80))
@settings(deadline=None, max_examples=500)
def test_any_text_is_an_expression_or_refused_with_a_sentence(text: str) -> None:
    assert problem(text).isprintable()


def test_an_unknown_name_is_answered_with_ten_known_ones_at_most() -> None:
    kinds: dict[str, Kind] = {f"amount_{i}": "numeric" for i in range(50)} | {"zzz": "numeric"}
    with pytest.raises(ExpressionError) as refused:
        parse("amount_7d", kinds)
    known = str(refused.value).split("known: ")[1].split(", ")
    assert len(known) == 10
    assert known[0] == "amount_7"


def test_a_field_that_is_called_like_a_word_of_the_language_is_told_so() -> None:
    with pytest.raises(ExpressionError, match="'from' is a word of the language"):
        parse("from == 'FR'", {"from": "category"})


def test_a_refused_name_is_answered_with_its_reason() -> None:
    with pytest.raises(ExpressionError, match="'fraud' is the label"):
        parse("fraud + 1", KINDS, refused={"fraud": "is the label"})
    assert parse("category == 'fraud'", KINDS, refused={"fraud": "is the label"}).names
