"""One encoding for training and serving: they agree to the bit, and say what doesn't fit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_app.ml.signature import FLOAT32_MAX, Feature, PayloadError, Signature

AMOUNT = Feature("amount", "numeric")
ONLINE = Feature("online", "boolean")
PLACE = Feature("place", "category", ("domestic", "foreign"))
SHOP = Feature("shop", "category", ("grocery", "fuel"), open=True)
SIGNATURE = Signature([AMOUNT, ONLINE, PLACE, SHOP])
ROW = {"amount": 12.5, "online": True, "place": "foreign", "shop": "fuel"}

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
numbers = (
    st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
)


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    features = []
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(("numeric", "boolean", "category")))
        levels = draw(st.lists(names, max_size=4, unique=True)) if kind == "category" else []
        is_open = kind == "category" and draw(st.booleans())
        features.append(Feature(name, kind, tuple(levels), open=is_open))
    return Signature(features)


def values(feature: Feature) -> st.SearchStrategy[Any]:
    if feature.kind == "numeric":
        return numbers
    if feature.kind == "boolean":
        return st.none() | st.booleans()
    return st.none() | (names if feature.open else st.sampled_from(feature.levels or (None,)))


@st.composite
def signed_rows(draw: st.DrawFn) -> tuple[Signature, list[dict[str, Any]]]:
    signature = draw(signatures())
    row = st.fixed_dictionaries({f.name: values(f) for f in signature.features})
    return signature, draw(st.lists(row, min_size=1, max_size=5))


def as_columns(signature: Signature, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same values as training's door takes them."""
    return {
        f.name: np.array(
            [row[f.name] for row in rows], dtype=object if f.kind == "category" else np.float64
        )
        for f in signature.features
    }


def bits(matrix: Any) -> bytes:
    return matrix.tobytes()


@given(signed_rows())
@settings(deadline=None)
def test_rows_and_columns_encode_to_the_same_bits(
    case: tuple[Signature, list[dict[str, Any]]],
) -> None:
    signature, rows = case
    by_row = signature.encode_rows(rows)
    assert by_row.shape == (len(rows), signature.width)
    assert bits(by_row) == bits(signature.encode_columns(as_columns(signature, rows)))


@given(signed_rows(), st.randoms())
@settings(deadline=None)
def test_the_order_of_a_row_s_keys_does_not_matter(
    case: tuple[Signature, list[dict[str, Any]]], random: Any
) -> None:
    signature, rows = case
    shuffled = [dict(random.sample(list(row.items()), len(row))) for row in rows]
    assert bits(signature.encode_rows(shuffled)) == bits(signature.encode_rows(rows))


@given(signatures())
def test_a_signature_survives_its_file(signature: Signature) -> None:
    again = Signature.from_json(signature.to_json())
    assert (again.features, again.columns) == (signature.features, signature.columns)
    assert len(signature.columns) == signature.width


def test_each_kind_fills_its_columns() -> None:
    assert SIGNATURE.columns == [
        "amount", "online", "place=domestic", "place=foreign", "shop=grocery", "shop=fuel",
        "shop=<other>",
    ]  # fmt: skip
    assert SIGNATURE.encode_rows([ROW]).tolist() == [[12.5, 1, 0, 1, 0, 1, 0]]


def test_null_is_a_missing_value() -> None:
    row = SIGNATURE.encode_rows([dict.fromkeys(ROW)])[0]
    assert np.isnan(row[:2]).all()
    assert not row[2:].any()


def test_an_unknown_level_is_other_in_an_open_category_and_an_error_in_a_closed_one() -> None:
    assert SIGNATURE.encode_rows([{**ROW, "shop": "casino"}])[0, -1] == 1
    assert problems({**ROW, "place": "moon"}) == {
        "place": "unknown category 'moon'; known: domestic, foreign"
    }


def problems(*rows: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(PayloadError) as caught:
        SIGNATURE.encode_rows(rows)
    return dict(caught.value.problems)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("amount", "12.5"), ("amount", True), ("amount", float("nan")), ("amount", float("inf")),
        ("amount", FLOAT32_MAX * 2), ("amount", 10**400), ("amount", []), ("amount", {}),
        ("amount", ""), ("online", "true"), ("online", 2), ("online", 0.5), ("online", []),
        ("place", 1), ("place", True), ("place", ["foreign"]), ("place", ""),
        ("place", "Foreign"), ("shop", 3.0), ("shop", {"a": 1}),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named(feature: str, value: Any) -> None:
    assert set(problems({**ROW, feature: value})) == {feature}


def test_unknown_and_missing_features_are_all_named() -> None:
    row = {"amount": 1, "online": None, "plaice": "foreign", "shop": 7}
    assert problems(row) == {
        "plaice": "unknown feature",
        "place": "missing feature",
        "shop": "must be text or null, not int",
    }


def test_in_a_batch_the_row_is_named_too() -> None:
    assert set(problems(ROW, {**ROW, "amount": "x"}, {})) >= {"1.amount", "2.amount", "2.place"}


def test_two_features_of_one_name_are_no_signature() -> None:
    with pytest.raises(ValueError, match="unique"):
        Signature([AMOUNT, AMOUNT])


SEQUENCE = Signature([Feature("amount", "numeric"), Feature("last", "sequence", steps=3, size=2)])


def test_a_sequence_is_encoded_alike_as_a_row_and_as_a_column() -> None:
    rows = [
        {"amount": 1.0, "last": [[1, 2], [3, None], [5, 6]]},
        {"amount": 2.0, "last": [[7, 8]]},
        {"amount": 3.0, "last": []},
        {"amount": 4.0, "last": None},
    ]
    nan = np.nan
    steps = np.array(
        [
            [[1, 2], [3, nan], [5, 6]],
            [[nan, nan], [nan, nan], [7, 8]],
            np.full((3, 2), nan),
            np.full((3, 2), nan),
        ]
    )
    columns = {"amount": np.array([1.0, 2, 3, 4]), "last": steps}
    encoded = SEQUENCE.encode_rows(rows)
    assert encoded[1, 1:].tolist()[-2:] == [7, 8]
    assert np.array_equal(encoded, SEQUENCE.encode_columns(columns), equal_nan=True)


def test_a_sequence_names_its_columns_by_how_long_ago_they_were() -> None:
    assert SEQUENCE.columns == [
        "amount", "last[2].0", "last[2].1", "last[1].0", "last[1].1", "last[0].0", "last[0].1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "a list of at most 3 steps"),
        ([[1, 2]] * 4, "a list of at most 3 steps"),
        ([[1]], "2 numbers in each step"),
        ([1, 2], "2 numbers in each step"),
        ([[1, "x"]], "finite numbers or null, not text"),
        ([[1, True]], "finite numbers or null, not a boolean"),
        ([[1, 1e39]], "finite numbers or null"),
    ],
)
def test_a_sequence_of_another_form_is_refused(value: object, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        SEQUENCE.encode_rows([{"amount": 1, "last": value}])


def test_a_signature_with_a_sequence_comes_back_from_json() -> None:
    again = Signature.from_json(SEQUENCE.to_json())
    assert again.features == SEQUENCE.features
