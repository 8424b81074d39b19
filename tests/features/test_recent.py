"""The features of one entity at one moment, computed from its events as the online store does."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ml import recent
from features.ml.compiler import compile_view
from features.ml.definition import View
from features.ml.recent import Answer
from features.ml.schema import Schema

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOON = 1_700_000_000_000_000

SCHEMA = Schema.from_json(
    {
        "fields": [
            {"name": "id", "type": "text"},
            {"name": "at", "type": "time"},
            {"name": "customer", "type": "integer"},
            {"name": "amount", "type": "number"},
            {"name": "online", "type": "boolean"},
            {"name": "category", "type": "text"},
            {"name": "fraud", "type": "boolean"},
        ],
        "event_id": "id",
        "event_time": "at",
        "entities": {"customer": "customer"},
        "label": "fraud",
    }
)


def view(*features: dict[str, Any], **settings: Any) -> View:
    named = [{"name": f"f{i}"} | feature for i, feature in enumerate(features)]
    return compile_view({"entity": "customer", "features": named} | settings, SCHEMA)


def aggregate(function: str, of: str | None = None, window: str = "1d", **more: Any) -> Any:
    return {"aggregate": function, "window": window} | ({"of": of} if of else {}) | more


def ask(
    asked: View,
    past: Sequence[Mapping[str, Any]] = (),
    event: Mapping[str, Any] | None = None,
    *,
    at: int = NOON,
    event_id: str | None = "own",
    positives: Sequence[str] = (),
) -> Answer:
    """`past` events have an `ago` in microseconds; their ids are e0, e1, ... or `id`."""
    stored = []
    for i, fields in enumerate(past):
        time = NOON - fields.get("ago", 0)
        values = recent.inputs(asked, dict(fields) | {"event_time": time})
        if values is not None:
            stored.append([time, fields.get("seq", i), fields.get("id", f"e{i}"), *values])
    own = None if event is None else dict(event) | {"event_time": at}
    return recent.answer(
        asked, at=at, events=stored, positives=set(positives), event=own, event_id=event_id
    )


def value(answer: Answer, name: str = "f0") -> Any:
    return answer.values[name].value


def status(answer: Answer, name: str = "f0") -> str:
    return answer.values[name].status


# ---- windows


def test_a_window_is_open_below_and_closed_above() -> None:
    count = view(aggregate("count", window="1h"))
    assert value(ask(count, [{"ago": HOUR}])) == 0
    assert value(ask(count, [{"ago": HOUR - 1}, {"ago": 0}])) == 2


def test_events_after_the_moment_are_left_out() -> None:
    answer = ask(view(aggregate("count")), [{"ago": -1}, {"ago": 5}])
    assert (value(answer), answer.as_of) == (1, NOON - 5)


def test_a_lag_moves_the_window_into_the_past() -> None:
    lagged = view(aggregate("count", window="1h", lag="1d"))
    edges = [DAY - 1, DAY, DAY + HOUR - 1, DAY + HOUR]
    assert [value(ask(lagged, [{"ago": ago}])) for ago in edges] == [0, 1, 1, 0]


def test_the_asks_own_event_is_inside_a_window_without_a_lag_only() -> None:
    both = view(aggregate("sum", "amount"), aggregate("sum", "amount", lag="1s"))
    answer = ask(both, [{"ago": HOUR, "amount": 2.0}], {"amount": 5.0})
    assert (value(answer), value(answer, "f1")) == (7, 2)
    assert answer.as_of == NOON


def test_an_own_event_that_the_store_holds_already_counts_once_and_as_stored() -> None:
    total = view(aggregate("sum", "amount"), aggregate("last", "amount"))
    past = [{"amount": 5.0, "id": "own"}, {"amount": 1.0, "id": "later arrival"}]
    answer = ask(total, past, {"amount": 99.0})
    assert (value(answer), value(answer, "f1")) == (6, 1)


def test_an_own_event_without_an_id_is_another_one() -> None:
    past = [{"amount": 5.0}]
    answer = ask(view(aggregate("sum", "amount")), past, {"amount": 2.0}, event_id=None)
    assert value(answer) == 7


def test_without_an_own_event_the_stored_ones_speak() -> None:
    answer = ask(view(aggregate("mean", "amount")), [{"amount": 2.0}, {"amount": 4.0}])
    assert (value(answer), answer.as_of) == (3, NOON)


def test_the_own_event_is_at_the_moment_of_the_ask() -> None:
    asked = view(aggregate("last", "hour(event_time)"))
    answer = recent.answer(asked, at=NOON, events=[], positives=(), event={}, event_id=None)
    assert value(answer) == 22


# ---- functions


@pytest.mark.parametrize(
    ("function", "expected"),
    [("count", 3.0), ("sum", 9.0), ("mean", 3.0), ("std", math.sqrt(2 / 3)), ("min", 2.0),
     ("max", 4.0), ("last", 3.0), ("distinct", 3.0)],
)  # fmt: skip
def test_functions_over_numbers(function: str, expected: float) -> None:
    of = None if function == "count" else "amount"
    past = [{"ago": 3, "amount": 4.0}, {"ago": 1, "amount": 3.0}, {"ago": 2, "amount": 2.0}]
    found = value(ask(view(aggregate(function, of)), past))
    assert found == pytest.approx(expected, rel=1e-15)
    assert type(found) is float


def test_booleans_count_as_numbers_but_the_last_one_stays_one() -> None:
    functions = ("sum", "mean", "max", "last")
    asked = view(*[aggregate(function, "online") for function in functions])
    answer = ask(asked, [{"ago": 2, "online": True}, {"ago": 1, "online": False}])
    found = [value(answer, name) for name in asked.names]
    assert found == [1.0, 0.5, 1.0, False]
    assert [type(x) for x in found] == [float, float, float, bool]


def test_texts_have_a_last_one_and_a_number_of_different_ones() -> None:
    asked = view(aggregate("last", "category"), aggregate("distinct", "category"))
    answer = ask(asked, [{"category": "a"}, {"category": "b"}, {"category": "a"}, {}])
    assert (value(answer), value(answer, "f1")) == ("a", 2)


def test_events_of_one_time_follow_each_other_as_they_arrived() -> None:
    last = view(aggregate("last", "amount"))
    past = [{"seq": 8, "amount": 8.0}, {"seq": 9, "amount": 9.0}, {"seq": 7, "amount": 7.0}]
    assert value(ask(last, past)) == 9
    assert value(ask(last, past, {"amount": 1.0})) == 1


def test_missing_inputs_are_nothing() -> None:
    asked = view(aggregate("mean", "amount"), aggregate("last", "amount"), aggregate("count"))
    answer = ask(asked, [{"ago": 2, "amount": 3.0}, {"ago": 1, "amount": None}])
    assert [value(answer, name) for name in asked.names] == [3, 3, 2]


def test_an_aggregations_filter_leaves_events_out_and_a_missing_condition_is_false() -> None:
    asked = view(
        aggregate("sum", "amount", where="category == 'a'"), aggregate("count", where="online")
    )
    past = [{"amount": 1.0, "category": "a", "online": True}, {"amount": 2.0, "category": "b"},
            {"amount": 4.0, "category": None, "online": False}]  # fmt: skip
    answer = ask(asked, past)
    assert (value(answer), value(answer, "f1")) == (1, 1)


def test_the_views_filter_keeps_events_out_of_all_features() -> None:
    asked = view(aggregate("count"), where="amount > 10")
    assert recent.inputs(asked, {"amount": 3.0}) is None
    assert recent.inputs(asked, {}) is None
    answer = ask(asked, [{"ago": HOUR, "amount": 20.0}, {"amount": 3.0}], {"amount": 5.0})
    assert (value(answer), answer.as_of) == (1, NOON - HOUR)


def test_sums_do_not_depend_on_the_order_of_arrival() -> None:
    amounts = [1e16, 1.0, -1e16]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        past = [{"ago": i, "amount": amounts[i]} for i in order]
        assert value(ask(view(aggregate("sum", "amount")), past)) == 1


def test_a_deviation_of_large_numbers_is_exact() -> None:
    past = [{"amount": 1e9 + x} for x in (4.0, 7.0, 13.0, 16.0)]
    answer = ask(view(aggregate("std", "amount")), past)
    assert value(answer) == math.sqrt(22.5)


def test_what_no_finite_number_can_hold_is_null() -> None:
    asked = view(*[aggregate(function, "amount") for function in ("sum", "mean", "std")])
    answer = ask(asked, [{"amount": 1.7e308}, {"amount": 1.7e308}])
    assert [answer.values[name].value for name in asked.names] == [None] * 3
    assert status(answer) == "NULL"


def test_inputs_may_come_back_from_the_store_as_integers() -> None:
    asked = view(aggregate("last", "amount"), aggregate("max", "amount"))
    answer = recent.answer(
        asked, at=NOON, events=[[NOON, 1, "e", 3]], positives=(), event=None, event_id=None
    )
    assert [type(value(answer, name)) for name in asked.names] == [float, float]


# ---- labels


def test_a_label_rate_is_the_share_of_confirmed_risk() -> None:
    rate = view(aggregate("label_rate", window="1d", lag="1d"))
    past = [{"ago": DAY + i * HOUR} for i in range(4)] + [{"ago": HOUR, "id": "too fresh"}]
    assert value(ask(rate, past, positives=["e1", "too fresh"])) == 0.25
    assert value(ask(rate, past)) == 0


def test_a_label_rate_over_no_events_is_null() -> None:
    answer = ask(view(aggregate("label_rate", lag="1d")), [{}])
    assert (value(answer), status(answer)) == (None, "NULL")


def test_a_label_rate_counts_only_the_events_of_its_filter() -> None:
    rate = view(aggregate("label_rate", where="online"))
    past = [{"online": True}, {"online": True}, {"online": False}]
    assert value(ask(rate, past, positives=["e1", "e2"])) == 0.5


def test_an_events_own_label_is_never_known_to_itself() -> None:
    rate = view(aggregate("label_rate"))
    past = [{"id": "own"}, {"ago": 1}]
    assert value(ask(rate, past, {}, positives=["own", "e1"])) == 0.5


# ---- empties, defaults, statuses


def test_an_unknown_entity_is_not_found() -> None:
    asked = view(
        aggregate("count"), aggregate("mean", "amount"), {"expression": "f0 + 1"},
        {"expression": "hour(event_time)"}, {"sequence": ["amount"], "length": 3, "window": "1d"},
    )  # fmt: skip
    answer = ask(asked)
    assert [value(answer, name) for name in asked.names] == [0, None, 1, 22, []]
    assert [status(answer, name) for name in asked.names] == [
        "NOT_FOUND", "NOT_FOUND", "NOT_FOUND", "PRESENT", "NOT_FOUND",
    ]  # fmt: skip
    assert answer.as_of is None


def test_an_entitys_first_event_counts_though_the_store_does_not_know_it() -> None:
    answer = ask(view(aggregate("count")), [], {})
    assert (value(answer), status(answer), answer.as_of) == (1, "NOT_FOUND", NOON)


def test_over_no_events_counts_are_zero_and_others_null() -> None:
    functions = ["count", "sum", "distinct", "mean", "std", "min", "max", "last", "label_rate"]
    without = {"count", "label_rate"}
    asked = view(*[aggregate(f, None if f in without else "amount", "1h") for f in functions])
    answer = ask(asked, [{"ago": DAY, "amount": 1.0}])
    assert [value(answer, name) for name in asked.names] == [0, 0, 0, *[None] * 6]
    assert [status(answer, name) for name in asked.names] == ["PRESENT"] * 3 + ["NULL"] * 6


def test_a_default_stands_for_null_and_the_status_says_so() -> None:
    asked = view(
        aggregate("mean", "amount", default=-1), aggregate("count", window="1h", default=-2),
        {"expression": "amount / 0", "default": 7}, {"expression": "category", "default": "none"},
        {"expression": "f0 * 10"},
    )  # fmt: skip
    answer = ask(asked, [{"ago": DAY}, {"ago": 2 * HOUR}], {"amount": None}, at=NOON)
    assert [value(answer, name) for name in asked.names] == [-1, 1, 7, "none", -10]
    answer = ask(asked, [{"ago": 2 * HOUR}])
    assert [value(answer, name) for name in asked.names] == [-1, -2, 7, "none", -10]
    statuses = [status(answer, name) for name in asked.names]
    assert statuses == ["NULL", "NULL", "NULL", "NULL", "PRESENT"]


def test_an_entity_that_was_silent_for_longer_than_the_ttl_is_expired() -> None:
    asked = view(
        aggregate("count", window="7d"), aggregate("mean", "amount", "7d", default=9),
        {"expression": "f0 + 1"}, {"expression": "hour(event_time)"}, ttl="1d",
    )  # fmt: skip
    answer = ask(asked, [{"ago": DAY + 1, "amount": 3.0}])
    assert [value(answer, name) for name in asked.names] == [0, 9, 1, 22]
    statuses = [status(answer, name) for name in asked.names]
    assert statuses == ["EXPIRED", "EXPIRED", "EXPIRED", "PRESENT"]
    assert answer.as_of == NOON - DAY - 1
    alive = ask(asked, [{"ago": DAY, "amount": 3.0}])
    assert (value(alive), value(alive, "f1"), status(alive)) == (1, 3, "PRESENT")


def test_the_asks_own_event_keeps_an_entity_alive() -> None:
    asked = view(aggregate("count", window="7d"), ttl="1d")
    answer = ask(asked, [{"ago": 2 * DAY}], {})
    assert (value(answer), status(answer)) == (2, "PRESENT")


# ---- transforms


def test_transforms_read_the_own_event_the_aggregations_and_the_transforms_before() -> None:
    asked = view(
        aggregate("mean", "amount"), {"expression": "ratio(amount, f0)"},
        {"expression": "'high' if f1 > 1 else 'low'"}, {"expression": "is_night(event_time)"},
    )  # fmt: skip
    answer = ask(asked, [{"amount": 1.0}], {"amount": 3.0})
    assert [value(answer, name) for name in asked.names] == [2, 1.5, "high", False]


def test_a_transform_of_fields_that_the_ask_lacks_is_null() -> None:
    asked = view(aggregate("mean", "amount"), {"expression": "ratio(amount, f0)"})
    for event in (None, {}):
        answer = ask(asked, [{"amount": 1.0}], event)
        assert (value(answer, "f1"), status(answer, "f1")) == (None, "NULL")


def test_a_feature_called_like_a_field_is_the_field_for_those_above_it() -> None:
    asked = compile_view(
        {"features": [
            {"name": "before", "expression": "amount"},
            {"name": "amount", "expression": "amount * 10"},
            {"name": "after", "expression": "amount"}]}, SCHEMA)  # fmt: skip
    answer = ask(asked, [], {"amount": 1.0})
    assert [value(answer, name) for name in asked.names] == [1, 10, 10]


def test_a_view_without_an_entity_needs_no_store() -> None:
    asked = compile_view({"features": [{"name": "f0", "expression": "amount * 2"}]}, SCHEMA)
    answer = ask(asked, [], {"amount": 4.0})
    assert (value(answer), status(answer), answer.as_of) == (8, "PRESENT", None)


# ---- sequences


def test_a_sequence_holds_the_newest_events_oldest_first_with_the_own_one() -> None:
    asked = view({"sequence": ["amount", "online"], "length": 3, "window": "1d"})
    past = [{"ago": ago, "amount": float(ago), "online": ago % 2 == 0} for ago in (1, 4, 2, 3)]
    answer = ask(asked, past, {"amount": None, "online": True})
    assert value(answer) == [[2, 1], [1, 0], [None, 1]]
    assert status(answer) == "PRESENT"


def test_a_sequence_leaves_out_events_without_any_of_its_numbers() -> None:
    asked = view({"sequence": ["amount", "-amount"], "length": 2, "window": "1h",
                  "where": "online"})  # fmt: skip
    past = [{"ago": 5, "amount": 5.0, "online": True}, {"ago": 4, "online": True},
            {"ago": 3, "amount": 3.0}, {"ago": DAY, "amount": 1.0, "online": True}]  # fmt: skip
    assert value(ask(asked, past)) == [[5, -5]]


def test_an_empty_sequence_is_an_empty_list_and_null() -> None:
    answer = ask(view({"sequence": ["amount"], "length": 2, "window": "1h"}), [{"ago": DAY}])
    assert (value(answer), status(answer)) == ([], "NULL")


# ---- aggregates from elsewhere


def test_others_may_compute_the_aggregates_and_leave_the_rest_here() -> None:
    asked = view(aggregate("mean", "amount", default=1), {"expression": "ratio(amount, f0)"})
    event = {"amount": 6.0}
    found = recent.finish(asked, at=NOON, event=event, state="PRESENT", computed={"f0": 3.0})
    assert found["f1"] == recent.Value(2.0, "PRESENT")
    found = recent.finish(asked, at=NOON, event=event, state="EXPIRED", computed={"f0": 3.0})
    assert [found["f0"], found["f1"]] == [
        recent.Value(1.0, "EXPIRED"), recent.Value(6.0, "EXPIRED"),
    ]  # fmt: skip
    nothing = recent.over_nothing(asked.aggregations[0])
    found = recent.finish(asked, at=NOON, event=event, state="NOT_FOUND", computed={"f0": nothing})
    assert found["f0"] == recent.Value(1.0, "NOT_FOUND")


# ---- against the plain reading of the rules

PAST = st.lists(
    st.fixed_dictionaries(
        {
            "ago": st.integers(-2, 14).map(lambda h: h * HOUR // 2),
            "amount": st.none() | st.integers(-5, 5).map(float),
            "online": st.none() | st.booleans(),
        }
    ),
    max_size=12,
)
ALL = view(
    aggregate("count", window="2h"), aggregate("sum", "amount", "3h", where="online"),
    aggregate("mean", "amount", "3h", lag="1h"), aggregate("max", "amount", "5h"),
    aggregate("distinct", "amount", "4h"), aggregate("last", "amount", "4h", lag="30m"),
    aggregate("label_rate", window="4h", lag="1h"), aggregate("std", "amount", "5h"), ttl="4h",
)  # fmt: skip


def slowly(past: list[dict[str, Any]], positives: set[str]) -> list[Any]:
    """The rules of a window, word for word."""
    rows = sorted(
        (NOON - e["ago"], i, f"e{i}", e) for i, e in enumerate(past) if e["ago"] >= 0
    )  # fmt: skip
    expired = bool(rows) and rows[-1][0] < NOON - 4 * HOUR
    found: list[Any] = []
    for a in ALL.aggregations:
        item, end = ALL.inputs[a.input], NOON - a.lag
        inside = [r for r in rows if end - a.window < r[0] <= end and not expired]
        if item.where:
            inside = [r for r in inside if r[3]["online"]]
        if item.of:
            inside = [r for r in inside if r[3]["amount"] is not None]
        values = [r[3]["amount"] for r in inside]
        mean = sum(values) / len(values) if item.of and values else 0.0
        results = {
            "count": lambda v=inside: len(v),
            "sum": lambda v=values: sum(v),
            "mean": lambda m=mean: m,
            "max": lambda v=values: max(v),
            "distinct": lambda v=values: len(set(v)),
            "last": lambda v=values: v[-1],
            "label_rate": lambda v=inside: sum(r[2] in positives for r in v) / len(v),
            "std": lambda v=values, m=mean: math.sqrt(sum((x - m) ** 2 for x in v) / len(v)),
        }
        found.append(results[a.function]() if inside else a.empty)
    return found


@given(PAST, st.sets(st.sampled_from([f"e{i}" for i in range(12)])))
@settings(deadline=None, max_examples=300)
def test_answers_are_what_the_rules_say(past: list[dict[str, Any]], positives: set[str]) -> None:
    answer = ask(ALL, past, positives=list(positives))
    assert [value(answer, n) for n in ALL.names] == pytest.approx(slowly(past, positives))
