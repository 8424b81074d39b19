"""Several trained models as one: a weighted sum of their log-odds.

By regression ("stacking"), or as a mean whose weights rank best ("vote"). Log-odds, because a mean
of scores hears only the boldest member: on the handbook's data 0.705 against 0.700.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from safetensors.numpy import save
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import average_precision_score

from training.ml.algorithms import shapley
from training.ml.algorithms.contract import (
    INPUT,
    OUTPUT,
    Context,
    Contributions,
    Round,
    Scores,
)
from training.ml.algorithms.graphs import Graph, Unfit
from training.ml.errors import TrainingError
from training.ml.part import Labels, Matrix, Part

TAKES_SEQUENCES = True  # it passes on what its members take
NEEDS_LABELS = True
_FEWEST = 2
_DRAWS = 200  # weights that a vote tries

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """A trained model: its ONNX file, and the columns of its matrix by name."""

    onnx: bytes
    columns: Sequence[str]


@dataclass(frozen=True)
class _Seat:
    """A member at work: `places` are its columns in the ensemble's matrix."""

    name: str
    member: Member
    places: npt.NDArray[np.int64]
    session: ort.InferenceSession

    def score(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        rows = np.ascontiguousarray(matrix[:, self.places])
        found: npt.NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: rows})[0]
        return found[:, 1]


@dataclass(frozen=True)
class Fitted:
    """Seats with the weights of their log-odds."""

    seats: tuple[_Seat, ...]
    weights: Numbers
    intercept: float
    width: int
    parameters: Mapping[str, Any]
    seed: int

    @property
    def rounds(self) -> int:
        return len(self.seats)

    def predict(self, matrix: Matrix) -> Scores:
        found = np.column_stack([seat.score(matrix) for seat in self.seats])
        return np.asarray(expit(shapley.log_odds(found) @ self.weights + self.intercept))

    def onnx(self) -> bytes:
        graph = Graph()
        parts = []
        for number, seat in enumerate(self.seats):
            model = onnx.load_model_from_string(seat.member.onnx)
            both = graph.splice(model, f"member_{number}_", graph.columns(seat.places))
            parts.append(graph.columns([1], both))
        scores = graph.add("Concat", *parts, axis=1)
        weights = graph.constant(self.weights[:, None])
        odds = _add_log_odds(graph, scores)
        margin = graph.add("Gemm", odds, weights, graph.constant([self.intercept]))
        return graph.bytes_of(self.width, graph.pair(graph.add("Sigmoid", margin)))

    def native(self) -> tuple[str, bytes]:
        """The weights; the members are whole in the ONNX file."""
        about = {"members": [seat.name for seat in self.seats]}
        tensors = {"weights": self.weights, "intercept": np.array([self.intercept])}
        return "model.safetensors", bytes(save(tensors, {"ensemble": json.dumps(about)}))

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        return shapley.explain(self.predict, matrix, reference, self.seed)

    def refit_parameters(self) -> dict[str, Any]:
        """With the weights: the members saw the training rows, so nothing is learned from them."""
        weights = [*self.weights.tolist(), self.intercept]
        return {**self.parameters, "weights": weights}


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Choose weights on `validation`, whose rows the members haven't seen; without it on `train`.

    Raises `TrainingError` for fewer than two members, and naming the columns that a member takes
    and the data hasn't got.
    """
    seats = _seats(context)
    if "weights" in parameters:
        *weights, intercept = parameters["weights"]
    else:
        part = train if validation is None else validation
        odds = shapley.log_odds(_scores(seats, part, context))
        if parameters["method"] == "vote":
            weights, intercept = _voted(odds, part.truth, context), 0.0
        else:
            weights, intercept = _stacked(odds, part.truth, float(parameters["c"]))
    fitted = Fitted(
        seats, np.asarray(weights), float(intercept), train.width, dict(parameters),
        context.seed,
    )  # fmt: skip
    context.watch(Round(len(seats), len(seats), {}))
    return fitted


def _seats(context: Context) -> tuple[_Seat, ...]:
    if len(context.members) < _FEWEST:
        raise TrainingError("members", "an ensemble needs at least two trained versions")
    position = {name: place for place, name in enumerate(context.signature.columns)}
    seats = []
    for name, member in sorted(context.members.items()):
        missing = [column for column in member.columns if column not in position]
        if missing:
            shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")  # noqa: PLR2004
            raise TrainingError("members", f"{name} takes {shown}, which this data hasn't got")
        places = np.array([position[column] for column in member.columns], dtype=np.int64)
        seats.append(_Seat(name, member, places, _session(name, member, context.threads)))
    return tuple(seats)


def _session(name: str, member: Member, threads: int) -> ort.InferenceSession:
    """Raises `TrainingError` for a member that can't be joined with others."""
    try:
        Graph().splice(onnx.load_model_from_string(member.onnx), "", INPUT)
    except Unfit as error:
        raise TrainingError("members", f"{name} {error}") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(member.onnx, options, providers=["CPUExecutionProvider"])


def _scores(seats: Sequence[_Seat], part: Part, context: Context) -> Numbers:
    """What each member says of each row, shape (n, members)."""
    found = np.empty((len(part), len(seats)))
    start = 0
    for batch in part.batches():
        for number, seat in enumerate(seats):
            context.watch(Round(0, len(seats)))
            found[start : start + len(batch), number] = seat.score(batch)
        start += len(batch)
    return found


def _stacked(odds: Numbers, truth: Labels, c: float) -> tuple[Numbers, float]:
    """Weights >= 0 by penalized log-loss; the penalty pulls them to equal shares, not to 0."""
    count = odds.shape[1]
    equal = np.append(np.full(count, 1 / count), 0.0)

    def loss(weights: Numbers) -> tuple[float, Numbers]:
        margin = odds @ weights[:-1] + weights[-1]
        off = weights - equal
        off[-1] = 0
        value = np.logaddexp(0, np.where(truth == 1, -margin, margin)).sum() + off @ off / (2 * c)
        wrong = expit(margin) - truth
        return float(value), np.append(odds.T @ wrong, wrong.sum()) + off / c

    bounds = [*[(0, None)] * count, (None, None)]
    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:-1], float(found[-1])


def _voted(odds: Numbers, truth: Labels, context: Context) -> Numbers:
    """Of equal weights, each member alone and some random weights, those of the best ranking."""
    count = odds.shape[1]
    drawn = np.random.default_rng(context.seed).dirichlet(np.ones(count), _DRAWS)
    candidates = np.vstack([np.full((1, count), 1 / count), np.eye(count), drawn])
    quality = []
    for weights in candidates:
        context.watch(Round(0, count))
        quality.append(average_precision_score(truth, odds @ weights))
    return np.asarray(candidates[int(np.argmax(quality))])


def _add_log_odds(graph: Graph, scores: str) -> str:
    """`shapley.log_odds` as nodes."""
    ends = (
        graph.constant(np.float32(shapley.NEAREST)),
        graph.constant(np.float32(1 - shapley.NEAREST)),
    )
    kept = graph.add("Clip", scores, *ends)
    other = graph.add("Sub", graph.constant([1.0]), kept)
    return graph.add("Sub", graph.add("Log", kept), graph.add("Log", other))
