"""Gradient-boosted trees by XGBoost."""

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from training.ml.algorithms import states, trees
from training.ml.algorithms.contract import Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = False
NEEDS_LABELS = True
_PAGE_CELLS = 16_000_000  # 64 MB as float32
_OWN = ("n_estimators", "early_stopping_rounds")  # the loop below has them, not the library


@dataclass(frozen=True)
class Fitted:
    """A booster of the trees that are kept."""

    booster: xgb.Booster
    parameters: Mapping[str, Any]

    @property
    def rounds(self) -> int:
        return int(self.booster.num_boosted_rounds())

    def predict(self, matrix: Matrix) -> Scores:
        return np.asarray(self.booster.inplace_predict(matrix), dtype=np.float64)

    def native(self) -> tuple[str, bytes]:
        return "model.ubj", bytes(self.booster.save_raw("ubj"))

    def onnx(self) -> bytes:
        model = json.loads(self.booster.save_raw("json"))["learner"]
        guess = float(model["learner_model_param"]["base_score"].strip("[]"))
        found = [_tree(tree) for tree in model["gradient_booster"]["model"]["trees"]]
        graph = Graph()
        pair = trees.add_logistic(graph, found, "BRANCH_LT", math.log(guess / (1 - guess)))
        return graph.bytes_of(self.booster.num_features(), pair)

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        """By TreeSHAP, whose baseline is the mean of the training rows; `reference` isn't used."""
        data = xgb.DMatrix(matrix)
        found = self.booster.predict(data, pred_contribs=True)
        return np.asarray(found[:, :-1], dtype=np.float64)

    def refit_parameters(self) -> dict[str, Any]:
        return {**self.parameters, "n_estimators": self.rounds, "early_stopping_rounds": 0}


@dataclass
class _Progress:
    """What is known of the rounds so far; goes into checkpoints."""

    best: float = -1.0
    best_round: int = 0
    history: list[float] = field(default_factory=list)

    def add(self, score: float) -> None:
        self.history.append(score)
        if score > self.best:  # NaN isn't
            self.best, self.best_round = score, len(self.history)

    def is_over(self, patience: int) -> bool:
        return 0 < patience <= len(self.history) - self.best_round


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Train tree by tree; the library's "aucpr" is what average precision is watched by.

    Parts that are large are kept as bins in temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="aegisml-xgboost-") as folder:
        return _fit(train, validation, parameters, context, Path(folder))


def _fit(
    train: Part,
    validation: Part | None,
    parameters: Mapping[str, Any],
    context: Context,
    folder: Path,
) -> Fitted:
    total = int(parameters["n_estimators"])
    patience = int(parameters["early_stopping_rounds"]) if validation is not None else 0
    options = _options(parameters, context)
    pages = _Pages(folder, lambda: context.watch(Round(0, total)))
    data = _matrix(train, options, pages, None)
    watched = [] if validation is None else [_matrix(validation, options, pages, data)]
    booster, progress = _resumed(options, [data, *watched], context)
    for number in range(booster.num_boosted_rounds(), total):
        if progress.is_over(patience):
            break
        if min(options["subsample"], options["colsample_bytree"]) < 1:
            _forget_draws(booster)
        booster.update(data, number)
        measured = _measured(booster, watched, number)
        if measured:
            progress.add(measured["validation_ap"])
        if context.checkpoints.is_due():
            state = {"progress": progress.__dict__}
            context.checkpoints.save(states.pack(state, bytes(booster.save_raw("ubj"))))
        context.watch(Round(number + 1, total, measured))
    kept = progress.best_round if patience else booster.num_boosted_rounds()
    return Fitted(booster[: max(kept, 1)], dict(parameters))


def _options(parameters: Mapping[str, Any], context: Context) -> dict[str, Any]:
    given = {name: value for name, value in parameters.items() if name not in _OWN}
    return given | {
        "objective": "binary:logistic",
        "eval_metric": ["logloss", "aucpr"],
        "tree_method": "hist",
        "seed": context.seed,
        "seed_per_iteration": True,
        "nthread": context.threads,
        "verbosity": 0,
    }


def _resumed(
    options: dict[str, Any], data: list[xgb.DMatrix], context: Context
) -> tuple[xgb.Booster, _Progress]:
    state = context.checkpoints.load()
    if state is None:
        return xgb.Booster(options, data), _Progress()
    header, model = states.unpack(state)
    return xgb.Booster(options, data, model_file=bytearray(model)), _Progress(**header["progress"])


def _forget_draws(booster: xgb.Booster) -> None:
    """Make the next tree's draws depend on the seed and its number alone.

    `seed_per_iteration` promises that, but the tree builder goes on with a generator of its own,
    which a resumed training hasn't got (dmlc/xgboost#10324): another builder throws it away.
    """
    booster.set_param({"updater": "prune"})
    booster.num_features()  # the library looks at its parameters when it is asked for something
    booster.set_param({"updater": "grow_quantile_histmaker"})


def _measured(booster: xgb.Booster, watched: list[xgb.DMatrix], number: int) -> dict[str, float]:
    if not watched:
        return {}
    # such as [7] v-logloss:0.031 v-aucpr:0.61, with tabs between
    text = booster.eval_set([(watched[0], "v")], number)
    values = [float(item.rsplit(":", 1)[1]) for item in text.split("\t")[1:]]
    return {"validation_log_loss": values[0], "validation_ap": values[1]}


@dataclass(frozen=True)
class _Pages:
    """Where bins that don't fit into memory go, and who is told while they are made."""

    folder: Path
    watch: Callable[[], None]


def _matrix(
    part: Part, options: Mapping[str, Any], pages: _Pages, like: xgb.DMatrix | None
) -> xgb.DMatrix:
    """The part in bins; `like` is the training's, whose bins are used."""
    settings = {"max_bin": options["max_bin"], "nthread": options["nthread"], "ref": like}
    if part.is_large:
        return xgb.ExtMemQuantileDMatrix(_Stream(part, pages), **settings)
    pages.watch()
    return xgb.QuantileDMatrix(part.matrix, part.truth, **settings)


class _Stream(xgb.DataIter):
    """A part's batches. The library reads them several times."""

    def __init__(self, part: Part, pages: _Pages) -> None:
        prefix = tempfile.mkdtemp(dir=pages.folder)
        super().__init__(cache_prefix=f"{prefix}/page", on_host=False)
        self._part = part
        self._watch = pages.watch
        self.reset()

    def reset(self) -> None:
        self._batches = self._part.batches(max(1024, _PAGE_CELLS // self._part.width))
        self._start = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        batch = next(self._batches, None)
        if batch is None:
            return False
        self._watch()
        stop = self._start + len(batch)
        input_data(data=batch, label=self._part.truth[self._start : stop])
        self._start = stop
        return True


def _tree(saved: Mapping[str, Any]) -> trees.Tree:
    """One tree of the library's JSON, whose leaves keep their value among the conditions."""
    left = np.asarray(saved["left_children"], dtype=np.int64)
    condition = np.asarray(saved["split_conditions"], dtype=np.float32)
    return trees.Tree(
        feature=np.asarray(saved["split_indices"], dtype=np.int64),
        threshold=condition,
        left=left,
        right=np.asarray(saved["right_children"], dtype=np.int64),
        missing_left=np.asarray(saved["default_left"], dtype=bool),
        value=condition,
    ).compact()
