"""Recurrent networks by PyTorch: what happened before, step by step, then the row itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models_app.ml.signature import Signature
from training.ml.algorithms import networks, shapley
from training.ml.algorithms.contract import INPUT, Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.algorithms.scaling import Scaler
from training.ml.errors import TrainingError
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = True
NEEDS_LABELS = True


@dataclass(frozen=True)
class Sequence:
    """Where a sequence lies in the matrix: `steps` times `size` columns from `start`."""

    start: int
    steps: int
    size: int

    @property
    def stop(self) -> int:
        return self.start + self.steps * self.size


@dataclass(frozen=True)
class Layout:
    """The sequences of a matrix, and the columns beside them."""

    sequences: tuple[Sequence, ...]
    plain: tuple[int, ...]

    @classmethod
    def of(cls, signature: Signature) -> "Layout":
        """Raises `TrainingError` where there is no sequence."""
        sequences: list[Sequence] = []
        plain: list[int] = []
        start = 0
        for feature in signature.features:
            if feature.kind == "sequence":
                sequences.append(Sequence(start, feature.steps, feature.size))
            else:
                plain += range(start, start + feature.width)
            start += feature.width
        if not sequences:
            raise TrainingError(
                "feature_set",
                "an LSTM needs a feature set with a sequence; declare one in a view, such as"
                ' {"name": "last_5", "sequence": ["amount"], "length": 5, "window": "30d"},'
                " or train another algorithm",
            )
        return cls(tuple(sequences), tuple(plain))


@dataclass(frozen=True)
class Preparation:
    """From the matrix to what the network takes: scaled columns, flags of the plain columns'
    holes, and for each step whether anything of it is there."""

    layout: Layout
    scaler: Scaler

    @classmethod
    def learned(cls, layout: Layout, part: Part, watch: Callable[[], None]) -> "Preparation":
        scaler = Scaler.learned(part, watch)
        for sequence in layout.sequences:
            scaler = scaler.pooled(sequence.start, sequence.steps, sequence.size)
        plain = np.isin(scaler.holes, layout.plain)
        return cls(layout, replace(scaler, holes=scaler.holes[plain]))

    def apply(self, matrix: Matrix) -> Matrix:
        present = [
            ~np.isnan(matrix[:, s.start : s.stop]).reshape(-1, s.steps, s.size).all(axis=2)
            for s in self.layout.sequences
        ]
        return np.hstack([self.scaler.apply(matrix), *present]).astype(np.float32, copy=False)

    def add_to(self, graph: Graph) -> tuple[str, list[str]]:
        """The plain columns with their flags, and each sequence (steps, n, size + 1)."""
        scaled = self.scaler.add_to(graph)
        missing = graph.add("Cast", graph.add("IsNaN", INPUT), to=1)
        one = graph.constant([1.0])
        sequences = []
        for s in self.layout.sequences:
            places = range(s.start, s.stop)
            shape = graph.constant([0, s.steps, s.size], np.int64)
            values = graph.add("Reshape", graph.columns(places, scaled), shape)
            holes = graph.add("Reshape", graph.columns(places, missing), shape)
            gone = graph.add("ReduceMin", holes, axes=[2], keepdims=1)
            joined = graph.add("Concat", values, graph.add("Sub", one, gone), axis=2)
            sequences.append(graph.add("Transpose", joined, perm=[1, 0, 2]))
        flags = range(len(self.scaler.mean), self.scaler.width)
        return graph.columns([*self.layout.plain, *flags], scaled), sequences


class Network(nn.Module):
    """One recurrent layer per sequence, then a layer over their last states and the plain columns.

    Takes what a `Preparation` gives; gives log-odds, shape (n,).
    """

    def __init__(self, preparation: Preparation, hidden: int, dense: int, dropout: float) -> None:
        super().__init__()
        self.layout = preparation.layout
        own, self.flags_end = len(preparation.scaler.mean), preparation.scaler.width
        self.plain = [*self.layout.plain, *range(own, self.flags_end)]
        self.recurrent = nn.ModuleList(
            nn.LSTM(s.size + 1, hidden, batch_first=True) for s in self.layout.sequences
        )
        self.dense = nn.Linear(hidden * len(self.recurrent) + len(self.plain), dense)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(dense, 1)

    def forward(self, rows: Tensor) -> Tensor:
        found, flags = [], self.flags_end
        for layer, s in zip(self.recurrent, self.layout.sequences, strict=True):
            values = rows[:, s.start : s.stop].reshape(-1, s.steps, s.size)
            present = rows[:, flags : flags + s.steps].unsqueeze(2)
            flags += s.steps
            steps, _ = layer(torch.cat([values, present], dim=2))
            found.append(steps[:, -1])
        joined = torch.cat([*found, rows[:, self.plain]], dim=1)
        margin: Tensor = self.last(self.dropout(self.dense(joined).relu())).squeeze(1)
        return margin


@dataclass(frozen=True)
class Fitted:
    """A network and the preparation of what it takes."""

    preparation: Preparation
    network: Network
    rounds: int
    parameters: Mapping[str, Any]
    seed: int

    def predict(self, matrix: Matrix) -> Scores:
        return networks.scores(self.network, self.preparation.apply(matrix))

    def native(self) -> tuple[str, bytes]:
        return networks.native(self.network, self.preparation.scaler)

    def onnx(self) -> bytes:
        graph = Graph()
        plain, sequences = self.preparation.add_to(graph)
        states = [
            _add_recurrent(graph, value, layer)
            for value, layer in zip(sequences, self.network.recurrent, strict=True)
        ]
        dense = networks.add_linear(
            graph, graph.add("Concat", *states, plain, axis=1), self.network.dense
        )
        margin = networks.add_linear(graph, graph.add("Relu", dense), self.network.last)
        width = len(self.preparation.scaler.mean)
        return graph.bytes_of(width, graph.pair(graph.add("Sigmoid", margin)))

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        return shapley.explain(self.predict, matrix, reference, self.seed)

    def refit_parameters(self) -> dict[str, Any]:
        return {**self.parameters, "epochs": self.rounds, "patience": 0}


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Train epoch by epoch; raises `TrainingError` where the signature has no sequence."""
    epochs = int(parameters["epochs"])
    layout = Layout.of(context.signature)
    preparation = Preparation.learned(layout, train, lambda: context.watch(Round(0, epochs)))

    def make() -> Network:
        return Network(
            preparation,
            parameters["hidden_units"],
            parameters["dense_units"],
            parameters["dropout"],
        )

    network = networks.built(make, context.seed)
    recipe = networks.Recipe.of(parameters, preparation.apply)
    rounds = networks.Training(network, recipe, train, validation, context).run()
    return Fitted(preparation, network, rounds, dict(parameters), context.seed)


def _add_recurrent(graph: Graph, value: str, layer: nn.Module) -> str:
    """An LSTM layer's last state, shape (n, hidden); ONNX has the gates in another order."""
    parts = layer.state_dict()

    def gates(name: str) -> Matrix:
        enter, forget, cell, leave = np.split(parts[name].numpy(), 4)
        return np.concatenate([enter, leave, forget, cell])

    biases = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")])
    _, last = graph.add_many(
        "LSTM",
        value,
        graph.constant(gates("weight_ih_l0")[None]),
        graph.constant(gates("weight_hh_l0")[None]),
        graph.constant(biases[None]),
        outputs=2,
        hidden_size=parts["weight_hh_l0"].shape[1],
    )
    return graph.add("Squeeze", last, graph.constant([0], np.int64))
