"""Schemas and definitions as data: what they become, and how each mistake is named."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ml import durations
from features.ml.compiler import compile_view
from features.ml.definition import Aggregation, Sequence, Transform, View
from features.ml.errors import DefinitionError
from features.ml.schema import Schema

DAY = 86_400_000_000
STREAM: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "text", "required": True, "max_length": 40},
        {"name": "at", "type": "time", "required": True},
        {"name": "seen", "type": "time"},
        {"name": "customer", "type": "integer", "required": True},
        {"name": "terminal", "type": "text"},
        {"name": "amount", "type": "number", "min": 0, "max": 1e6},
        {"name": "online", "type": "boolean"},
        {"name": "category", "type": "text", "allowed": ["food", "travel"]},
        {"name": "fraud", "type": "boolean"},
    ],
    "event_id": "id",
    "event_time": "at",
    "known_time": "seen",
    "entities": {"customer": "customer", "terminal": "terminal"},
    "label": "fraud",
}
SCHEMA = Schema.from_json(STREAM)


def stream_problems(data: Any) -> dict[str, str]:
    with pytest.raises(DefinitionError) as refused:
        Schema.from_json(data)
    return dict(refused.value.problems)


def view_problems(data: Any) -> dict[str, str]:
    with pytest.raises(DefinitionError) as refused:
        compile_view(data, SCHEMA)
    return dict(refused.value.problems)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The stream with one part replaced; `path` is as a problem names it."""
    data = copy.deepcopy(STREAM)
    *way, last = path.split(".")
    part: Any = data
    for step in way:
        part = part[int(step) if isinstance(part, list) else step]
    part[int(last) if isinstance(part, list) else last] = value
    return data


# ---- lengths of time


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("30s", 30_000_000), ("10m", 600_000_000), ("6h", DAY // 4), ("7d", 7 * DAY), ("0d", 0)],
)
def test_lengths_of_time(text: str, microseconds: int) -> None:
    assert durations.parse(text) == microseconds
    assert durations.parse(durations.spell(microseconds)) == microseconds


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "1.5h", "1w", "7 d", "٣d", "9" * 99, 7, None]
)
def test_no_length_of_time(text: Any) -> None:
    with pytest.raises(ValueError, match="whole number with a unit"):
        durations.parse(text)


def test_a_length_of_time_has_an_end() -> None:
    with pytest.raises(ValueError, match="longer than 3660d"):
        durations.parse("3661d")


@given(st.integers(0, 3660 * 86_400))
def test_a_spelled_length_reads_back(seconds: int) -> None:
    assert durations.parse(durations.spell(seconds * 1_000_000)) == seconds * 1_000_000


# ---- schemas


def test_a_schema_knows_its_fields_and_their_roles() -> None:
    assert SCHEMA.by_name["amount"].low == 0
    assert SCHEMA.by_name["category"].allowed == ("food", "travel")
    assert (SCHEMA.known_time, SCHEMA.label, SCHEMA.timezone) == ("seen", "fraud", "UTC")
    assert SCHEMA.entities == {"customer": "customer", "terminal": "terminal"}


def test_expressions_may_use_all_fields_but_the_label_and_the_events_time() -> None:
    assert "fraud" not in SCHEMA.kinds
    assert SCHEMA.kinds["event_time"] == SCHEMA.kinds["at"] == "time"
    assert (SCHEMA.kinds["customer"], SCHEMA.kinds["online"]) == ("numeric", "boolean")


@pytest.mark.parametrize(
    ("path", "value", "place", "why"),
    [
        ("fields", [], "fields", "1 to 200 fields"),
        ("fields", {"id": "text"}, "fields", "1 to 200 fields"),
        ("fields.0", "id", "fields.0", "must be an object"),
        ("fields.5.name", "1st", "fields.5", "must start with a letter"),
        ("fields.5.name", None, "fields.5", "must start with a letter"),
        ("fields.5.name", "a" * 61, "fields.5", "at most 60"),
        ("fields.5.name", "online", "fields.6", "'online' is taken"),
        ("fields.5.name", "ONLINE", "fields.6", "'online' is taken"),
        ("fields.5.type", "float", "fields.5", "type must be one of number, integer"),
        ("fields.5.type", ["number"], "fields.5", "type must be one of"),
        ("fields.5.required", "yes", "fields.5", "required must be true or false"),
        ("fields.5.min", "0", "fields.5", "min must be a number"),
        ("fields.5.min", True, "fields.5", "min must be a number"),
        ("fields.5.min", float("nan"), "fields.5", "min must be a number"),
        ("fields.5.max", 1.7e308, "fields.5", "max must be a number"),
        ("fields.5.min", 1e7, "fields.5", "min must not be above max"),
        ("fields.6.min", 0, "fields.6", "is for numbers only"),
        ("fields.5.allowed", ["a"], "fields.5", "allowed is for text only"),
        ("fields.7.allowed", "food", "fields.7", "allowed must be a list of texts"),
        ("fields.7.allowed", [1], "fields.7", "allowed must be a list of texts"),
        ("fields.7.allowed", ["\x00"], "fields.7", "all printable"),
        ("fields.7.max_length", 0, "fields.7", "max_length must be a whole number"),
        ("fields.7.unit", "EUR", "fields.7", "unknown key 'unit'"),
        ("event_id", None, "event_id", "must name one of the fields"),
        ("event_id", ["id"], "event_id", "must name one of the fields"),
        ("event_id", "amount", "event_id", "must be a field of type text or integer"),
        ("event_time", "nowhere", "event_time", "must name one of the fields"),
        ("event_time", "amount", "event_time", "must be a field of type time"),
        ("known_time", "amount", "known_time", "must be a field of type time"),
        ("label", "amount", "label", "must be a field of type boolean or integer"),
        ("label", "customer", "label", "must be a field of its own"),
        ("fields.2.name", "event_time", "event_time", "must be the event's time"),
        ("entities", {}, "entities", "at least one entity"),
        ("entities", ["customer"], "entities", "at least one entity"),
        ("entities.customer", "nowhere", "entities.customer", "text or integer field"),
        ("entities.customer", "amount", "entities.customer", "text or integer field"),
        ("entities.customer", {"a": 1}, "entities.customer", "text or integer field"),
        ("entities.no name", "customer", "entities.no name", "must start with a letter"),
        ("timezone", "Mars/Base", "timezone", "IANA name"),
        ("timezone", "../etc/passwd", "timezone", "IANA name"),
        ("timezone", "a\x00", "timezone", "IANA name"),
        ("timezone", 1, "timezone", "IANA name"),
        ("future_seconds", -1, "future_seconds", "0 to 86400"),
        ("future_seconds", 1.5, "future_seconds", "0 to 86400"),
        ("colour", "red", "colour", "unknown key"),
    ],
)
def test_a_mistake_in_a_schema_is_named(path: str, value: Any, place: str, why: str) -> None:
    assert why in stream_problems(changed(path, value))[place]


def test_all_mistakes_of_a_schema_are_named_at_once() -> None:
    data = changed("timezone", "Mars") | {"event_id": "nowhere", "future_seconds": -1}
    assert set(stream_problems(data)) == {"timezone", "event_id", "future_seconds"}


def test_optional_roles_may_be_null_or_empty() -> None:
    schema = Schema.from_json(STREAM | {"label": "", "known_time": None})
    assert (schema.label, schema.known_time) == (None, None)
    assert "fraud" in schema.kinds


# ---- views

MEAN = {"name": "mean_7d", "aggregate": "mean", "of": "amount", "window": "7d"}


def with_feature(**feature: Any) -> dict[str, Any]:
    return {"entity": "customer", "features": [MEAN, {"name": "x"} | feature]}


def test_a_definition_becomes_a_view() -> None:
    view = compile_view(
        {
            "entity": "customer",
            "ttl": "30d",
            "where": "amount > 0",
            "features": [
                MEAN,
                {"name": "n", "aggregate": "count", "lag": "1d"},
                {"name": "risk", "aggregate": "label_rate", "window": "7d", "lag": "7d",
                 "default": 0},
                {"name": "last_category", "aggregate": "last", "of": "category", "window": "1d"},
                {"name": "last_online", "aggregate": "last", "of": "online", "window": "1d",
                 "default": False},
                {"name": "ratio", "expression": "ratio(amount, mean_7d)", "default": 1},
                {"name": "high", "expression": "ratio > 3"},
                {"name": "steps", "sequence": ["amount", "hour(event_time)"], "length": 5},
            ],
        },
        SCHEMA,
    )  # fmt: skip
    assert view.entity_field == "customer"
    assert view.features[0] == Aggregation("mean_7d", "mean", 0, 7 * DAY, 0, "numeric", None)
    assert view.features[1] == Aggregation("n", "count", 1, 30 * DAY, DAY, "numeric", None)
    assert [f.kind for f in view.features] == [
        "numeric", "numeric", "numeric", "category", "boolean", "numeric", "boolean", "sequence",
    ]  # fmt: skip
    assert [f.default for f in view.features] == [None, None, 0.0, None, False, 1.0, None, None]
    assert isinstance(view.features[5], Transform)
    assert isinstance(view.features[7], Sequence)
    assert view.features[7].window == 30 * DAY
    assert view.horizon == 31 * DAY
    assert view.reads_labels
    assert view.fields == {"amount", "category", "online", "event_time"}


def test_aggregations_of_the_same_thing_share_their_input() -> None:
    view = compile_view(
        {
            "entity": "customer",
            "features": [
                MEAN,
                {"name": "a", "aggregate": "sum", "of": " amount ", "window": "1d"},
                {
                    "name": "b",
                    "aggregate": "sum",
                    "of": "amount",
                    "window": "1d",
                    "where": "online",
                },
                {"name": "c", "aggregate": "count", "window": "1d", "where": "online"},
                {"name": "d", "aggregate": "label_rate", "window": "1d", "where": "online"},
                {"name": "e", "sequence": ["amount"], "length": 2, "window": "1d"},
            ],
        },
        SCHEMA,
    )
    assert [a.input for a in view.aggregations] == [0, 0, 1, 2, 2]
    assert view.sequences[0].inputs == (0,)


def test_a_view_without_an_entity_has_expressions_only() -> None:
    view = compile_view({"features": [{"name": "h", "expression": "hour(event_time)"}]}, SCHEMA)
    assert (view.entity, view.entity_field, view.horizon) == (None, None, 0)
    found = view_problems({"entity": None, "ttl": "1d", "where": "online", "features": [MEAN]})
    assert set(found) == {"ttl", "where", "features.0.aggregate"}
    assert set(found.values()) == {"needs the view to have an entity"}


@pytest.mark.parametrize(
    ("part", "value", "place", "why"),
    [
        ("entity", "merchant", "entity", "no key for 'merchant'; known: customer, terminal"),
        ("entity", ["customer"], "entity", "must be the name of an entity"),
        ("entity", {"a": 1}, "entity", "must be the name of an entity"),
        ("entity", [10**5000], "entity", "must be the name of an entity"),
        ("ttl", "0s", "ttl", "longer than zero"),
        ("ttl", 30, "ttl", "whole number with a unit"),
        ("where", "amount >", "where", "does not parse"),
        ("where", "amount", "where", "'amount' is not true or false"),
        ("where", "fraud", "where", "'fraud' is the label"),
        ("where", "mean_7d > 1", "where", "'mean_7d' is unknown"),
        ("where", 7, "where", "must be a field or an expression"),
        ("features", [], "features", "1 to 200 features"),
        ("features", {"a": 1}, "features", "1 to 200 features"),
        ("features", [7], "features.0", "must be an object"),
        ("features", [MEAN, MEAN], "features.1.name", "'mean_7d' is there twice"),
        ("features", [MEAN, MEAN | {"name": "MEAN_7D"}], "features.1.name", "is there twice"),
        ("color", "red", "color", "unknown key"),
        ("\ud800", 1, r"\ud800", "unknown key"),
    ],
)
def test_a_mistake_in_a_view_is_named(part: str, value: Any, place: str, why: str) -> None:
    data = {"entity": "customer", "features": [MEAN]} | {part: value}
    assert why in view_problems(data)[place]


@pytest.mark.parametrize(
    ("feature", "place", "why"),
    [
        ({}, "", "must have one of aggregate, expression, sequence"),
        ({"aggregate": "count", "expression": "1"}, "", "must have one of"),
        ({"aggregate": "count", "window": "0d"}, ".window", "must be longer than zero"),
        ({"aggregate": "count", "window": "week"}, ".window", "whole number with a unit"),
        ({"aggregate": "count", "window": ["7d"]}, ".window", "whole number with a unit"),
        ({"aggregate": "count"}, ".window", "required when the view has no ttl"),
        ({"aggregate": "count", "window": "1d", "lag": "-1d"}, ".lag", "whole number with a unit"),
        ({"aggregate": "median", "of": "amount", "window": "1d"}, ".aggregate", "one of count, "),
        ({"aggregate": ["sum"], "of": "amount", "window": "1d"}, ".aggregate", "must be one of"),
        ({"aggregate": "count", "of": "amount", "window": "1d"}, ".of", "takes no field"),
        ({"aggregate": "sum", "window": "1d"}, ".of", "must be a field or an expression"),
        ({"aggregate": "sum", "of": "price", "window": "1d"}, ".of", "'price' is unknown; known: "),
        ({"aggregate": "sum", "of": "category", "window": "1d"}, ".of", "sum needs a number"),
        ({"aggregate": "max", "of": "event_time", "window": "1d"}, ".of", "take a part of it"),
        ({"aggregate": "last", "of": "at", "window": "1d"}, ".of", "take a part of it"),
        ({"aggregate": "mean", "of": "fraud", "window": "1d"}, ".of", "'fraud' is the label"),
        ({"aggregate": "mean", "of": "mean_7d", "window": "1d"}, ".of", "event's own fields"),
        ({"aggregate": "count", "window": "1d", "where": "amount > 'a'"}, ".where", "compares"),
        ({"aggregate": "count", "window": "1d", "where": "amount"}, ".where", "not true or false"),
        ({"aggregate": "count", "window": "1d", "where": ""}, ".where", "an expression"),
        ({"aggregate": "count", "window": "1d", "default": "0"}, ".default", "must be a number"),
        ({"aggregate": "count", "window": "1d", "default": True}, ".default", "must be a number"),
        ({"aggregate": "count", "window": "1d", "default": []}, ".default", "must be a number"),
        ({"aggregate": "count", "window": "1d", "default": 10**400}, ".default", "too large"),
        ({"aggregate": "count", "window": "1d", "default": float("nan")}, ".default", "no number"),
        ({"aggregate": "last", "of": "category", "window": "1d", "default": 0}, ".default", "text"),
        ({"aggregate": "last", "of": "category", "window": "1d", "default": "\x00"}, ".default",
         "printable"),
        ({"aggregate": "last", "of": "online", "window": "1d", "default": 0}, ".default",
         "must be true or false"),
        ({"aggregate": "count", "window": "1d", "every": "1h"}, ".every", "unknown key"),
        ({"aggregate": "count", "window": "1d", "name": "amount"}, ".name", "is a field"),
        ({"expression": "amount", "name": "fraud"}, ".name", "names something else"),
        ({"expression": "amount", "name": "event_time"}, ".name", "names something else"),
        ({"expression": "amount", "name": "a b"}, ".name", "must start with a letter"),
        ({"expression": "amount", "name": ["x"]}, ".name", "must start with a letter"),
        ({"expression": "amount / nothing"}, ".expression", "'nothing' is unknown"),
        ({"expression": "fraud"}, ".expression", "'fraud' is the label"),
        ({"expression": "event_time"}, ".expression", "take a part of it"),
        ({"expression": "x + 1"}, ".expression", "not declared above"),
        ({"expression": None}, ".expression", "must be a field or an expression"),
        ({"expression": "amount", "window": "1d"}, ".window", "unknown key"),
        ({"expression": "amount", "default": "x"}, ".default", "must be a number"),
        ({"sequence": "amount", "length": 5, "window": "1d"}, ".sequence", "must be a list"),
        ({"sequence": [], "length": 5, "window": "1d"}, ".sequence", "must be a list of 1 to 50"),
        ({"sequence": ["category"], "length": 5, "window": "1d"}, ".sequence", "holds text"),
        ({"sequence": ["at"], "length": 5, "window": "1d"}, ".sequence.0", "take a part of it"),
        ({"sequence": ["amount", 7], "length": 5, "window": "1d"}, ".sequence.1", "expression"),
        ({"sequence": ["fraud"], "length": 5, "window": "1d"}, ".sequence.0", "is the label"),
        ({"sequence": ["amount"], "length": 0, "window": "1d"}, ".length", "1 to 200"),
        ({"sequence": ["amount"], "length": "5", "window": "1d"}, ".length", "1 to 200"),
        ({"sequence": ["amount"], "length": 5}, ".window", "required when"),
        ({"sequence": ["amount"], "length": 5, "window": "1d", "default": 0}, ".default",
         "unknown key"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_feature_is_named(feature: dict[str, Any], place: str, why: str) -> None:
    assert why in view_problems(with_feature(**feature))[f"features.1{place}"]


def test_a_text_that_reads_like_the_label_is_no_label() -> None:
    view = compile_view(with_feature(expression="category == 'fraud'"), SCHEMA)
    assert view.names == ("mean_7d", "x")


def test_one_mistake_is_not_told_as_several() -> None:
    data = {"entity": "customer", "ttl": "soon", "features": [
        {"name": "a", "aggregate": "sum", "of": "amount"}]}  # fmt: skip
    assert set(view_problems(data)) == {"ttl"}
    data = {"entity": "merchant", "features": [MEAN]}
    assert set(view_problems(data)) == {"entity"}


def test_an_expression_over_a_feature_with_a_mistake_says_so() -> None:
    data = {"entity": "customer", "features": [
        MEAN | {"window": "0d"}, {"name": "x", "expression": "mean_7d + 1"},
        {"name": "s", "sequence": ["amount"], "length": 2, "window": "1d"},
        {"name": "y", "expression": "s + 1"}, {"name": "z", "expression": "later + 1"},
        {"name": "later", "expression": "1"}]}  # fmt: skip
    found = view_problems(data)
    assert "with a mistake of its own" in found["features.1.expression"]
    assert "a sequence, which only models take" in found["features.3.expression"]
    assert "not declared above" in found["features.4.expression"]


def test_inputs_read_fields_whatever_features_are_called() -> None:
    data = {"entity": "customer", "features": [
        {"name": "amount", "expression": "log(amount)"},
        {"name": "s", "aggregate": "sum", "of": "amount", "window": "1d"}]}  # fmt: skip
    assert compile_view(data, SCHEMA).names == ("amount", "s")


@pytest.mark.parametrize("data", [None, [], "view", 7, True])
def test_what_is_no_object_is_no_definition(data: Any) -> None:
    assert view_problems(data) == {"definition": "must be an object"}
    assert stream_problems(data) == {"definition": "must be an object"}


# ---- anything else gives sentences too

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([10**400, "amount", "customer", "7d", "0s", "count", "last", "fraud", "id",
                       "online", "at", "integer", "time", "text", "x", "amount > 1"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def objects(*keys: str) -> st.SearchStrategy[Any]:
    known = st.dictionaries(st.sampled_from(keys), JSON, max_size=len(keys))
    return JSON | known | st.dictionaries(st.text() | st.integers(), JSON, max_size=2)


FEATURES = objects(
    "name", "aggregate", "of", "window", "lag", "where", "default", "expression", "sequence",
    "length",
)  # fmt: skip
VIEWS = st.fixed_dictionaries(
    {"features": st.lists(FEATURES, max_size=4) | JSON},
    optional={"entity": JSON, "ttl": JSON, "where": JSON, "other": JSON},
)
STREAMS = st.fixed_dictionaries(
    {"fields": st.lists(objects("name", "type", "required", "min", "max", "allowed", "max_length"))
     | JSON | st.just(STREAM["fields"])},
    optional={key: JSON | st.just(value) for key, value in STREAM.items() if key != "fields"}
    | {"timezone": JSON, "future_seconds": JSON},
)  # fmt: skip


def sentences(make: Any, data: Any) -> list[str]:
    """The problems; none when the data is fine."""
    try:
        made = make(data)
    except DefinitionError as error:
        assert error.problems  # noqa: PT017 - both ways are fine, a crash is not
        return [text for problem in error.problems for text in problem]
    assert isinstance(made, View | Schema)
    return []


@given(VIEWS | JSON)
@settings(deadline=None, max_examples=400)
def test_any_data_is_a_view_or_refused(data: Any) -> None:
    assert all(text.isprintable() for text in sentences(lambda x: compile_view(x, SCHEMA), data))


@given(STREAMS | JSON)
@settings(deadline=None, max_examples=400)
def test_any_data_is_a_schema_or_refused(data: Any) -> None:
    assert all(text.isprintable() for text in sentences(Schema.from_json, data))
