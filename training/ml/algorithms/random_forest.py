"""Random forests by scikit-learn."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score

from training.ml.algorithms import shapley, skops_files, trees
from training.ml.algorithms.contract import Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.errors import TrainingError
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = False
NEEDS_LABELS = True
_CHUNK_SECONDS = 0.5
_MAX_FEATURES = {"sqrt": "sqrt", "log2": "log2", "half": 0.5, "all": 1.0}


@dataclass(frozen=True)
class Fitted:
    """A forest; missing values go where they went in training."""

    forest: RandomForestClassifier
    parameters: Mapping[str, Any]
    seed: int

    @property
    def rounds(self) -> int:
        return len(self.forest.estimators_)

    def predict(self, matrix: Matrix) -> Scores:
        return np.asarray(self.forest.predict_proba(matrix)[:, 1], dtype=np.float64)

    def native(self) -> tuple[str, bytes]:
        return "model.skops", skops_files.dumps(self.forest)

    def onnx(self) -> bytes:
        found = [
            trees.of_sklearn(tree.tree_, tree.tree_.value[:, 0, 1] / self.rounds)
            for tree in self.forest.estimators_
        ]
        graph = Graph()
        mean = trees.add_to(graph, found, "BRANCH_LEQ")
        ends = (
            graph.constant(np.float32(0)),
            graph.constant(np.float32(1)),
        )  # a sum of rounded parts
        return graph.bytes_of(
            self.forest.n_features_in_, graph.pair(graph.add("Clip", mean, *ends))
        )

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        return shapley.explain(self.predict, matrix, reference, self.seed)

    def refit_parameters(self) -> dict[str, Any]:
        return dict(self.parameters)


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Grow the trees in chunks of about half a second.

    Raises `TrainingError` where the rows don't fit into memory: a forest needs them all at once.
    """
    if train.is_large:
        raise TrainingError(
            "algorithm",
            f"a random forest needs all {len(train):,} rows in memory; train on fewer days or"
            " columns, or use xgboost, logistic_regression or neural_network, which stream",
        )
    total = int(parameters["n_estimators"])
    context.watch(Round(0, total))
    forest = _resumed(context) or _new(train, parameters, context)
    votes = _Votes(validation)
    for size in _sizes(len(getattr(forest, "estimators_", ())), total, context.threads):
        forest.set_params(n_estimators=size)
        forest.fit(train.matrix, train.truth)
        if context.checkpoints.is_due():
            context.checkpoints.save(skops_files.dumps(forest))
        context.watch(Round(size, total, votes.measured(forest)))
    # one thread: several add up a row's votes in any order, and so in any last digit
    forest.set_params(n_jobs=1)
    return Fitted(forest, dict(parameters), context.seed)


def _new(train: Part, parameters: Mapping[str, Any], context: Context) -> RandomForestClassifier:
    share = float(parameters["max_samples"])
    return RandomForestClassifier(
        n_estimators=0,
        criterion=parameters["criterion"],
        max_depth=int(parameters["max_depth"]),
        min_samples_leaf=int(parameters["min_samples_leaf"]),
        max_features=_MAX_FEATURES[parameters["max_features"]],
        max_samples=None if share == 1 else share,
        class_weight=_weights(train) if parameters["class_weight"] == "balanced" else None,
        warm_start=True,
        random_state=context.seed,
        n_jobs=context.threads,
    )


def _resumed(context: Context) -> RandomForestClassifier | None:
    state = context.checkpoints.load()
    return None if state is None else skops_files.loads(state)


def _weights(train: Part) -> dict[int, float]:
    """What sklearn calls "balanced", which it refuses to compute for a forest that grows."""
    counts = np.maximum(np.bincount(train.truth, minlength=2), 1)
    return {label: len(train) / (2 * int(count)) for label, count in enumerate(counts)}


def _sizes(done: int, total: int, first: int) -> Iterator[int]:
    """How large the forest shall be after each chunk, by the time that the last ones took."""
    step = first
    while done < total:
        start = time.monotonic()
        size = min(done + step, total)
        yield size
        each = (time.monotonic() - start) / (size - done)
        done = size
        step = max(first, int(_CHUNK_SECONDS / max(each, 1e-6)))


class _Votes:
    """Average precision on the validation rows as trees come; scores each tree once."""

    def __init__(self, validation: Part | None) -> None:
        self._validation = validation
        self._sum: Scores | None = None
        self._counted = 0

    def measured(self, forest: RandomForestClassifier) -> dict[str, float]:
        if self._validation is None:
            return {}
        if self._sum is None:
            self._sum = np.zeros(len(self._validation))
        for tree in forest.estimators_[self._counted :]:
            start = 0
            for batch in self._validation.batches():
                stop = start + len(batch)
                self._sum[start:stop] += tree.predict_proba(batch)[:, 1]
                start = stop
        self._counted = len(forest.estimators_)
        return {"validation_ap": float(average_precision_score(self._validation.truth, self._sum))}
