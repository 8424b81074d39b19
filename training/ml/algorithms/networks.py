"""How networks are trained: minibatches, Adam, early stopping, and a checkpoint after an epoch.

The model is a running mean of the weights over about an epoch (Polyak and Juditsky 1992): with few
frauds among the rows, average precision jumps by some hundredths from one epoch to the next, and
neither the last weights nor "the best epoch" mean much without it.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from training.ml.algorithms import states
from training.ml.algorithms.contract import Context, Round, Scores
from training.ml.algorithms.graphs import Graph
from training.ml.algorithms.scaling import Scaler
from training.ml.errors import TrainingError
from training.ml.part import Matrix, Part

_WATCH_SECONDS = 0.5
_BLOCK_ROWS = 4096  # rows that lie together stay together when a large part is shuffled ...
_WINDOW_BLOCKS = 32  # ... and the rows of so many blocks are mixed
_SCORED_ROWS = 16_384
_FIRST_STEPS = 10
_SHARED_ROWS = 1024  # with fewer rows per step, threads wait for one another more than they work

Prepare = Callable[[Matrix], Matrix]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """How to train; `prepare` turns the matrix into what the network takes."""

    prepare: Prepare
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    positive_weight: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any], prepare: Prepare) -> "Recipe":
        names = [name for name in cls.__dataclass_fields__ if name != "prepare"]
        return cls(prepare=prepare, **{name: parameters[name] for name in names})


@dataclass
class _Progress:
    epoch: int = 0
    steps: int = 0
    best: float = -1.0
    best_epoch: int = 0


@dataclass
class Training:
    """One training of `network`, in place."""

    network: nn.Module
    recipe: Recipe
    train: Part
    validation: Part | None
    context: Context
    _progress: _Progress = field(default_factory=_Progress)
    _best: dict[str, Tensor] = field(default_factory=dict)
    _mean: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self._mean = copy.deepcopy(self.network)

    def run(self) -> int:
        """Train, and give the number of epochs that made the weights.

        With patience those of the epoch with the best average precision on the validation rows
        are kept, else the last ones. Raises what the watcher raises.
        """
        optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            fused=True,
        )
        self._resume(optimizer)
        with _own_settings(self.context.threads if self.recipe.batch_size >= _SHARED_ROWS else 1):
            while self._progress.epoch < self.recipe.epochs and not self._is_over:
                train_loss = self._epoch(optimizer)
                self._progress.epoch += 1
                measured = {"train_loss": train_loss, **self._measured()}
                if self.context.checkpoints.is_due():
                    self.context.checkpoints.save(self._state(optimizer))
                self._watch(measured)
        self.network.load_state_dict(self._best or self._mean.state_dict())
        return self._progress.best_epoch if self._best else self._progress.epoch

    @property
    def _is_over(self) -> bool:
        waited = self._progress.epoch - self._progress.best_epoch
        return bool(self._best) and waited >= self.recipe.patience

    def _epoch(self, optimizer: torch.optim.Optimizer) -> float:
        """See each row once; the mean loss. Draws depend on the seed and the epoch alone."""
        self.network.train()
        torch.manual_seed(_seed(self.context.seed, self._progress.epoch))
        random = np.random.default_rng([self.context.seed, self._progress.epoch])
        loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(self.recipe.positive_weight))
        total, looked = 0.0, time.monotonic()
        for rows, truth in self._windows(random):
            for start in range(0, len(rows), self.recipe.batch_size):
                chosen = slice(start, start + self.recipe.batch_size)
                optimizer.zero_grad(set_to_none=True)
                value = loss(self.network(rows[chosen]), truth[chosen])
                value.backward()
                optimizer.step()
                self._follow()
                total += value.item() * len(truth[chosen])
                if time.monotonic() - looked > _WATCH_SECONDS:
                    self._watch({})
                    looked = time.monotonic()
        if not math.isfinite(total):
            epoch = self._progress.epoch + 1
            raise TrainingError(
                "learning_rate", f"the loss became infinite in epoch {epoch}; choose a lower one"
            )
        return total / max(len(self.train), 1)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the mean on by one step; at first it follows faster than it will."""
        self._progress.steps += 1
        share = max(
            self.recipe.batch_size / max(len(self.train), self.recipe.batch_size),
            _FIRST_STEPS / (_FIRST_STEPS + self._progress.steps),
        )
        for mean, value in zip(self._mean.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, share)

    def _windows(self, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows in random order: all at once, or as shuffled blocks of a large part."""
        truth = self.train.truth
        for places in _shuffled(len(self.train), self.train.is_large, random):
            rows = torch.from_numpy(self.recipe.prepare(self.train.take(np.sort(places))))
            order = random.permutation(len(places))
            labels = torch.from_numpy(truth[np.sort(places)][order].astype(np.float32))
            yield rows[torch.from_numpy(order)], labels

    def _measured(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        parts = []
        for batch in self.validation.batches():
            self._watch({})
            parts.append(scores(self._mean, self.recipe.prepare(batch)))
        found = float(average_precision_score(self.validation.truth, np.concatenate(parts)))
        if self.recipe.patience and found > self._progress.best:
            self._progress.best, self._progress.best_epoch = found, self._progress.epoch
            weights = self._mean.state_dict()
            self._best = {name: value.clone() for name, value in weights.items()}
        return {"validation_ap": found}

    def _watch(self, measured: Mapping[str, float]) -> None:
        self.context.watch(Round(self._progress.epoch, self.recipe.epochs, measured))

    def _state(self, optimizer: torch.optim.Optimizer) -> bytes:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"mean.{name}": value for name, value in self._mean.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
        return states.pack(asdict(self._progress), save(tensors))

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        state = self.context.checkpoints.load()
        if state is None:
            return
        header, body = states.unpack(state)
        tensors = load(body)
        self._progress = _Progress(**header)
        self._best = _below(tensors, "best.")
        self.network.load_state_dict(_below(tensors, "network."))
        self._mean.load_state_dict(_below(tensors, "mean."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "adam.").items():
            number, moment = name.split(".", 1)
            moments.setdefault(int(number), {})[moment] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})


def built(make: Callable[[], Network], seed: int) -> Network:
    """A network whose first weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def scores(network: nn.Module, rows: Matrix) -> Scores:
    """Scores of prepared rows."""
    network.eval()
    found = np.empty(len(rows))
    with torch.inference_mode():
        for start in range(0, len(rows), _SCORED_ROWS):
            margin = network(torch.from_numpy(rows[start : start + _SCORED_ROWS]))
            found[start : start + _SCORED_ROWS] = torch.sigmoid(margin).numpy()
    return found


def add_linear(graph: Graph, value: str, layer: nn.Module) -> str:
    """The layer as an ONNX node."""
    parts = layer.state_dict()
    weight, bias = graph.constant(parts["weight"].numpy()), graph.constant(parts["bias"].numpy())
    return graph.add("Gemm", value, weight, bias, transB=1)


def native(network: nn.Module, scaler: Scaler) -> tuple[str, bytes]:
    """The weights, and the scaling under "scaler.", as a safetensors file."""
    scaling = {f"scaler.{name}": torch.from_numpy(v) for name, v in scaler.tensors().items()}
    return "model.safetensors", bytes(save({**network.state_dict(), **scaling}))


def _shuffled(
    count: int, in_blocks: bool, random: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Places of rows that are mixed with one another."""
    if not in_blocks:
        yield np.arange(count)
        return
    starts = random.permutation(np.arange(0, count, _BLOCK_ROWS))
    for first in range(0, len(starts), _WINDOW_BLOCKS):
        window = starts[first : first + _WINDOW_BLOCKS]
        yield np.concatenate(
            [np.arange(start, min(start + _BLOCK_ROWS, count)) for start in window]
        )


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


@contextmanager
def _own_settings(threads: int) -> Iterator[None]:
    """torch's settings are the whole process's: use ours and give the others back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
