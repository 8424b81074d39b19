"""Isolation forests by scikit-learn: how strange a row is, learned without labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from training.ml.algorithms import shapley, skops_files, trees
from training.ml.algorithms.contract import Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = False
NEEDS_LABELS = False
_CHUNK = 20  # trees between two looks at whether to go on


@dataclass(frozen=True)
class Fitted:
    """A forest whose score is 2^(-E[path] / c(rows per tree)) of Liu, Ting and Zhou (2008)."""

    forest: IsolationForest
    parameters: Mapping[str, Any]
    seed: int

    @property
    def rounds(self) -> int:
        return len(self.forest.estimators_)

    def predict(self, matrix: Matrix) -> Scores:
        return np.asarray(-self.forest.score_samples(matrix), dtype=np.float64)

    def native(self) -> tuple[str, bytes]:
        return "model.skops", skops_files.dumps(self.forest)

    def onnx(self) -> bytes:
        graph = Graph()
        paths = trees.add_to(graph, self._trees(), "BRANCH_LEQ")
        score = graph.add("Pow", graph.constant([2.0]), graph.add("Neg", paths))
        return graph.bytes_of(self.forest.n_features_in_, graph.pair(score))

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        return shapley.explain(self.predict, matrix, reference, self.seed)

    def refit_parameters(self) -> dict[str, Any]:
        return dict(self.parameters)

    def _trees(self) -> list[trees.Tree]:
        """The trees; a leaf's value is its share of E[path] / c(rows per tree)."""
        whole = float(_path_length(np.array([self.forest.max_samples_]))[0]) * self.rounds
        found = []
        forest = self.forest
        for tree, columns in zip(forest.estimators_, forest.estimators_features_, strict=True):
            inner = tree.tree_
            paths = inner.compute_node_depths() - 1 + _path_length(inner.n_node_samples)
            # with all columns they aren't drawn, and the indices are the matrix's own
            drawn = columns if len(columns) < forest.n_features_in_ else None
            found.append(trees.of_sklearn(inner, paths / whole, drawn))
        return found


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Grow the trees; of a large part, only as many rows are read as the trees can use."""
    total, size = int(parameters["n_estimators"]), int(parameters["max_samples"])
    context.watch(Round(0, total))
    matrix = _rows(train, total * size, context.seed)
    forest = IsolationForest(
        n_estimators=0,
        max_samples=min(size, len(matrix)),
        max_features=float(parameters["max_features"]),
        warm_start=True,
        random_state=context.seed,
    )
    for done in [*range(_CHUNK, total, _CHUNK), total]:
        forest.set_params(n_estimators=done)
        forest.fit(matrix)
        fitted = Fitted(forest, dict(parameters), context.seed)
        measured = _measured(fitted, validation) if done == total else {}
        context.watch(Round(done, total, measured))
    return fitted


def _rows(train: Part, wanted: int, seed: int) -> Matrix:
    if not train.is_large or len(train) <= wanted:
        return train.matrix
    drawn = np.random.default_rng(seed).choice(len(train), wanted, replace=False)
    return train.take(np.sort(drawn))


def _measured(fitted: Fitted, validation: Part | None) -> dict[str, float]:
    if validation is None or validation.labels is None or not validation.truth.any():
        return {}
    scores = np.concatenate([fitted.predict(batch) for batch in validation.batches()])
    return {"validation_ap": float(average_precision_score(validation.truth, scores))}


def _path_length(rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """c(n): how deep an unsuccessful search in a binary tree of n rows ends on average."""
    n = np.maximum(rows.astype(np.float64), 2.0)
    found = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / n
    return np.asarray(np.where(rows > 2, found, (rows == 2).astype(np.float64)))  # noqa: PLR2004
