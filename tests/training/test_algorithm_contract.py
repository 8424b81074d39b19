"""What every algorithm promises, held against each of them."""

import io
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from models_app.ml import algorithms as schema
from models_app.ml.signature import Feature, Signature
from training.ml import algorithms
from training.ml.algorithms import shapley
from training.ml.algorithms.contract import INPUT, OUTPUT, Context, Fitted, Round
from training.ml.algorithms.ensemble import Member
from training.ml.errors import Cancelled, TrainingError
from training.ml.part import Matrix, Part

SMALL: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 20, "max_depth": 3, "subsample": 0.8, "early_stopping_rounds": 10},
    "random_forest": {"n_estimators": 20, "max_depth": 8, "max_samples": 0.8},
    "logistic_regression": {},
    "neural_network": {"hidden_units": 32, "epochs": 4},
    "lstm": {"hidden_units": 12, "dense_units": 16, "epochs": 4},
    "isolation_forest": {"n_estimators": 40},
    "ensemble": {},
}
PLAIN, STEPS, SIZE = 6, 3, 2
SIGNATURE = Signature(
    [
        *[Feature(f"x{i}", "numeric") for i in range(PLAIN)],
        Feature("last", "sequence", steps=STEPS, size=SIZE),
    ]
)
COLUMNS = SIGNATURE.columns
ROWS = 1500


def rows(count: int, seed: int) -> Part:
    """Rows with a far, labelled corner, holes, a constant column and short sequences."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, SIGNATURE.width)).astype(np.float32)
    matrix[:, 5] = 7
    matrix[:, 4] = 1000 * matrix[:, 4] + 5000
    odds = 2 * matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + 1.5 * matrix[:, -1] - 4
    labels = (random.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    matrix[labels == 1, 3] += 3  # strange, for the one that learns without labels
    matrix[:, 1][random.random(count) < 0.1] = np.nan
    short = random.random(count) < 0.2
    matrix[short, PLAIN : PLAIN + SIZE] = np.nan
    return Part.of(matrix, labels)


TRAIN, VALIDATION, TEST = rows(ROWS, 1), rows(600, 2), rows(2000, 3)


@dataclass
class Watch:
    """Remembers the rounds, and raises at call number `stop`."""

    stop: int | None = None
    seen: list[Round] = field(default_factory=list)

    def __call__(self, done: Round) -> None:
        self.seen.append(done)
        if len(self.seen) == self.stop:
            raise Cancelled


@dataclass
class Saved:
    """Checkpoints in memory, due each time."""

    state: bytes | None = None

    def load(self) -> bytes | None:
        return self.state

    def is_due(self) -> bool:
        return True

    def save(self, state: bytes) -> None:
        self.state = state


def context(name: str, **changes: Any) -> Context:
    members = joined() if name == "ensemble" else {}
    settings = {"seed": 5, "threads": 1, "signature": SIGNATURE, "watch": Watch()}
    return Context(**{**settings, "members": members, **changes})


def parameters(name: str, **changes: Any) -> dict[str, Any]:
    return {**schema.checked(name, {**schema.defaults(name), **SMALL[name], **changes})}


def fit(name: str, *, validation: Part | None = VALIDATION, **changes: Any) -> Fitted:
    return algorithms.load(name).fit(TRAIN, validation, parameters(name), context(name, **changes))


@cache
def fitted(name: str) -> Fitted:
    return fit(name)


@cache
def joined() -> Mapping[str, Member]:
    """Members of an ensemble, one of which takes fewer columns, in another order."""
    order = [2, 0, 1]
    part = Part.of(TRAIN.matrix[:, order], TRAIN.labels)
    narrow = Signature([Feature(f"x{i}", "numeric") for i in order])
    small = algorithms.load("logistic_regression").fit(
        part, None, parameters("logistic_regression"), context("", signature=narrow)
    )
    found = {"few columns": Member(small.onnx(), narrow.columns)}
    for name in ("xgboost", "random_forest", "lstm"):
        found[name] = Member(fitted(name).onnx(), SIGNATURE.columns)
    return found


def with_holes(matrix: Matrix) -> Matrix:
    """The rows, the rows with holes, and rows at the ends of what a float32 holds."""
    holed = matrix.copy()
    holed[np.random.default_rng(0).random(matrix.shape) < 0.3] = np.nan
    ends = np.full((3, matrix.shape[1]), np.finfo(np.float32).max, dtype=np.float32)
    ends[1] *= -1
    ends[2] = np.nan
    return np.vstack([matrix, holed, ends])


def by_onnx(model: bytes, matrix: Matrix) -> Matrix:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: Matrix = session.run([OUTPUT], {INPUT: matrix})[0]
    return found


def is_pickle(content: bytes) -> bool:
    try:
        return bool(list(pickletools.genops(content)))
    except ValueError:
        return False


@pytest.fixture(params=list(algorithms.MODULES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestEveryAlgorithm:
    def test_it_beats_chance(self, name: str) -> None:
        assert roc_auc_score(TEST.truth, fitted(name).predict(TEST.matrix)) > 0.7

    def test_scores_are_shares(self, name: str) -> None:
        scores = fitted(name).predict(with_holes(TEST.matrix))
        assert scores.dtype == np.float64
        assert scores.shape == (2 * len(TEST) + 3,)
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_the_same_seed_gives_the_same_model(self, name: str) -> None:
        again = fit(name)
        assert again.native() == fitted(name).native()
        assert again.onnx() == fitted(name).onnx()
        assert (again.predict(TEST.matrix) == fitted(name).predict(TEST.matrix)).all()

    def test_onnx_gives_the_same_scores(self, name: str) -> None:
        matrix = with_holes(TEST.matrix)
        found = by_onnx(fitted(name).onnx(), matrix)
        assert np.abs(found[:, 1] - fitted(name).predict(matrix)).max() <= 1e-5
        assert np.allclose(found.sum(axis=1), 1)

    def test_progress_is_told_up_to_the_end(self, name: str) -> None:
        watch = Watch()
        fit(name, watch=watch)
        done = [round_.done for round_ in watch.seen]
        assert done == sorted(done)
        assert 0 < done[-1] <= watch.seen[-1].total

    @pytest.mark.parametrize("stop", [1, 2])
    def test_a_cancel_stops_it_at_once(self, name: str, stop: int) -> None:
        watch = Watch(stop=stop)
        with pytest.raises(Cancelled):
            fit(name, watch=watch)
        assert len(watch.seen) == stop

    def test_broken_off_and_resumed_it_becomes_the_same_model(self, name: str) -> None:
        complete = Watch()
        fit(name, watch=complete)
        saved = Saved()
        with pytest.raises(Cancelled):
            fit(name, watch=Watch(stop=len(complete.seen) * 2 // 3), checkpoints=saved)
        resumed = fit(name, checkpoints=saved)
        assert resumed.onnx() == fitted(name).onnx()
        assert resumed.rounds == fitted(name).rounds
        assert (resumed.predict(TEST.matrix) == fitted(name).predict(TEST.matrix)).all()

    def test_contributions_make_up_the_difference(self, name: str) -> None:
        matrix, reference = with_holes(TEST.matrix[:20]), TEST.matrix[-1:]
        found = fitted(name).explain(matrix, reference)
        assert found.shape == matrix.shape
        odds = shapley.log_odds(fitted(name).predict(matrix))
        if name == "xgboost":  # its baseline is the mean of the training rows
            assert np.ptp(odds - found.sum(axis=1)) < 1e-4
            return
        expected = odds - shapley.log_odds(fitted(name).predict(reference))
        inside = np.abs(odds) < -shapley.log_odds(np.array([shapley.NEAREST]))[0] - 1e-6
        assert np.allclose(found.sum(axis=1)[inside], expected[inside], atol=1e-4)

    def test_refitting_needs_no_validation_rows(self, name: str) -> None:
        again = algorithms.load(name).fit(
            TRAIN, None, fitted(name).refit_parameters(), context(name)
        )
        assert again.rounds == fitted(name).rounds
        assert roc_auc_score(TEST.truth, again.predict(TEST.matrix)) > 0.7

    def test_its_file_is_no_pickle(self, name: str) -> None:
        file, content = fitted(name).native()
        assert file.split(".")[-1] in {"ubj", "skops", "safetensors"}
        assert not is_pickle(content)
        if file.endswith("skops"):
            parts = zipfile.ZipFile(io.BytesIO(content))
            arrays = [part for part in parts.namelist() if part.endswith(".npy")]
            assert all(np.load(parts.open(part), allow_pickle=False).size for part in arrays)

    def test_parameters_out_of_bounds_are_refused(self, name: str) -> None:
        for parameter in schema.PARAMETERS[name]:
            wrong = "x" if parameter.kind in {"choice", "bool"} else parameter.high + 1
            with pytest.raises(schema.ParameterError) as caught:
                schema.checked(name, {parameter.name: wrong})
            assert list(caught.value.problems) == [parameter.name]

    def test_its_own_defaults_are_within_bounds(self, name: str) -> None:
        assert schema.checked(name, schema.defaults(name)) == schema.defaults(name)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "random_forest"])
def test_a_large_part_is_read_in_pieces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context_of = context(name)
    largest = []

    def encode(places: Any) -> Matrix:
        largest.append(len(places))
        return TRAIN.matrix[places]

    monkeypatch.setattr("training.ml.part.WHOLE_BYTES", 1000)
    monkeypatch.setattr("training.ml.part.Part.batches.__defaults__", (200,))
    monkeypatch.setattr("training.ml.algorithms.networks._BLOCK_ROWS", 50)
    monkeypatch.setattr("training.ml.algorithms.networks._WINDOW_BLOCKS", 4)
    monkeypatch.setattr("training.ml.algorithms.logistic_regression._CELLS", 1, raising=False)
    monkeypatch.setattr("training.ml.algorithms.xgboost._PAGE_CELLS", 1)
    part = Part(np.arange(ROWS), SIGNATURE.width, encode, TRAIN.labels)
    chosen = parameters(name) | ({"n_estimators": 10, "max_samples": 20} if "iso" in name else {})
    found = algorithms.load(name).fit(part, None, chosen, context_of)
    assert roc_auc_score(TEST.truth, found.predict(TEST.matrix)) > 0.7
    assert max(largest) <= 1024


def test_a_forest_says_what_to_do_with_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.ml.part.WHOLE_BYTES", 1000)
    with pytest.raises(TrainingError, match="fewer days") as caught:
        fit("random_forest")
    assert caught.value.field == "algorithm"


def test_an_lstm_without_a_sequence_says_how_to_declare_one() -> None:
    plain = Signature([Feature(f"x{i}", "numeric") for i in range(SIGNATURE.width)])
    with pytest.raises(TrainingError, match='"sequence"') as caught:
        fit("lstm", signature=plain)
    assert caught.value.field == "feature_set"


def test_a_network_that_diverges_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SMALL, "neural_network", {"learning_rate": 1e30, "hidden_layers": 4})
    monkeypatch.setattr(schema, "checked", lambda name, given: given)
    with pytest.raises(TrainingError, match="choose a lower one") as caught:
        fit("neural_network")
    assert caught.value.field == "learning_rate"


def test_an_ensemble_needs_members() -> None:
    one = {"only": joined()["xgboost"]}
    with pytest.raises(TrainingError, match="at least two"):
        fit("ensemble", members=one)


def test_an_ensemble_names_the_columns_that_a_member_misses() -> None:
    strange = Member(joined()["xgboost"].onnx, ["amount", *SIGNATURE.columns[1:]])
    with pytest.raises(TrainingError, match="old@3 takes amount"):
        fit("ensemble", members={**joined(), "old@3": strange})


def test_an_ensemble_refuses_a_file_that_is_no_member() -> None:
    renamed = joined()["xgboost"].onnx.replace(b"probabilities", b"improbability")
    with pytest.raises(TrainingError, match="old@3 doesn't"):
        fit("ensemble", members={**joined(), "old@3": Member(renamed, SIGNATURE.columns)})


def test_an_ensemble_takes_members_of_older_exports() -> None:
    model = onnx.load_model_from_string(joined()["xgboost"].onnx)
    model.graph.node[0].output[1] = OUTPUT
    del model.graph.node[1]
    kept = [item for item in model.opset_import if item.domain == "ai.onnx.ml"]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    old = Member(model.SerializeToString(), SIGNATURE.columns)
    found = fit("ensemble", members={**joined(), "xgboost": old})
    assert (found.predict(TEST.matrix) == fitted("ensemble").predict(TEST.matrix)).all()
    assert (
        np.abs(by_onnx(found.onnx(), TEST.matrix)[:, 1] - found.predict(TEST.matrix)).max() < 1e-5
    )


def test_trees_that_all_say_fraud_are_served_as_they_score() -> None:
    everything = Part.of(TRAIN.matrix, np.ones_like(TRAIN.truth))
    found = algorithms.load("xgboost").fit(
        everything, None, parameters("xgboost", base_score=0.01), context("xgboost")
    )
    served = by_onnx(found.onnx(), TEST.matrix)[:, 1]
    assert np.abs(served - found.predict(TEST.matrix)).max() < 1e-5


def test_a_vote_ranks_no_worse_than_its_best_member_on_the_validation_rows() -> None:
    found = algorithms.load("ensemble").fit(
        TRAIN, VALIDATION, parameters("ensemble", method="vote"), context("ensemble")
    )
    matrix = with_holes(TEST.matrix)
    assert np.abs(by_onnx(found.onnx(), matrix)[:, 1] - found.predict(matrix)).max() <= 1e-5
    alone = [
        average_precision_score(
            VALIDATION.truth,
            by_onnx(member.onnx, VALIDATION.matrix[:, list(map(COLUMNS.index, member.columns))])[
                :, 1
            ],
        )
        for member in joined().values()
    ]
    together = average_precision_score(VALIDATION.truth, found.predict(VALIDATION.matrix))
    assert together >= max(alone) - 1e-6


def test_a_misspelled_parameter_is_told_the_nearest() -> None:
    with pytest.raises(schema.ParameterError, match="did you mean 'max_depth'"):
        schema.checked("xgboost", {"max_dept": 3})


def test_a_misspelled_choice_is_told_the_nearest() -> None:
    with pytest.raises(schema.ParameterError, match="did you mean 'balanced'"):
        schema.checked("logistic_regression", {"class_weight": "Balance"})
