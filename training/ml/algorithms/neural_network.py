"""Feed-forward networks by PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from training.ml.algorithms import networks, shapley
from training.ml.algorithms.contract import Context, Contributions, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.algorithms.scaling import Scaler
from training.ml.part import Matrix, Part

TAKES_SEQUENCES = False
NEEDS_LABELS = True


class Network(nn.Module):
    """Layers of rectified units; gives log-odds, shape (n,)."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [width, *[hidden] * layers]
        self.hidden = nn.ModuleList(
            nn.Linear(before, after) for before, after in zip(widths, widths[1:], strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, 1)

    def forward(self, rows: Tensor) -> Tensor:
        for layer in self.hidden:
            rows = self.dropout(layer(rows).relu())
        found: Tensor = self.last(rows).squeeze(1)
        return found


@dataclass(frozen=True)
class Fitted:
    """A network and the scaling of what it takes."""

    scaler: Scaler
    network: Network
    rounds: int
    parameters: Mapping[str, Any]
    seed: int

    def predict(self, matrix: Matrix) -> Scores:
        return networks.scores(self.network, self.scaler.apply(matrix))

    def native(self) -> tuple[str, bytes]:
        return networks.native(self.network, self.scaler)

    def onnx(self) -> bytes:
        graph = Graph()
        value = self.scaler.add_to(graph)
        for layer in self.network.hidden:
            value = graph.add("Relu", networks.add_linear(graph, value, layer))
        margin = networks.add_linear(graph, value, self.network.last)
        return graph.bytes_of(len(self.scaler.mean), graph.pair(graph.add("Sigmoid", margin)))

    def explain(self, matrix: Matrix, reference: Matrix) -> Contributions:
        return shapley.explain(self.predict, matrix, reference, self.seed)

    def refit_parameters(self) -> dict[str, Any]:
        return {**self.parameters, "epochs": self.rounds, "patience": 0}


def fit(
    train: Part, validation: Part | None, parameters: Mapping[str, Any], context: Context
) -> Fitted:
    """Learn the scaling in one pass over the rows, then train epoch by epoch."""
    epochs = int(parameters["epochs"])
    scaler = Scaler.learned(train, lambda: context.watch(Round(0, epochs)))

    def make() -> Network:
        return Network(
            scaler.width,
            parameters["hidden_units"],
            parameters["hidden_layers"],
            parameters["dropout"],
        )

    network = networks.built(make, context.seed)
    recipe = networks.Recipe.of(parameters, scaler.apply)
    rounds = networks.Training(network, recipe, train, validation, context).run()
    return Fitted(scaler, network, rounds, dict(parameters), context.seed)
