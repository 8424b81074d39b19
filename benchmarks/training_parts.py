"""One measured part of `benchmarks.training`: prints its rows as JSON on the last line."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import leaks, tables
from models_app.ml import algorithms as schemas
from models_app.ml.signature import Feature, Signature
from training.ml import algorithms, columns, parity, pipeline, split
from training.ml.algorithms.contract import Context, Round
from training.ml.algorithms.ensemble import Member
from training.ml.errors import Cancelled
from training.ml.part import Part
from training.ml.request import Request, Trained

WIDTH = 20
GIB = 1024**3
SEQUENCE = Feature("last", "sequence", steps=5, size=3)
THREADS = os.cpu_count() or 1


def main() -> None:
    part, data, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if part == "large-child":
        train_within(data, rows)
        return
    with tempfile.TemporaryDirectory(prefix="aegisml-benchmark-") as folder:
        found = PARTS[part](data, Path(folder), rows)
    print(json.dumps(found))


# --- the parts ---------------------------------------------------------------------


def overhead(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    """The whole pipeline against the bare library's fit on the same matrix, in turns."""
    file = folder / "million.parquet"
    write(file, 1_000_000, chunk=250_000)
    request = request_of("xgboost", file)
    bare, whole, fits = [], [], []
    for _ in range(2):
        bare.append(bare_fit(file, request))
        started = time.perf_counter()
        trained = run(request, file)
        whole.append(time.perf_counter() - started)
        fits.append(trained.metrics["seconds"]["fit"])
    ratio = min(whole) / min(bare)
    return [
        tables.row("1 M rows x 20: bare XGBoost fit", min(bare), "s"),
        tables.row("1 M rows x 20: the pipeline's fit", min(fits), "s"),
        tables.row("1 M rows x 20: whole pipeline", min(whole), "s"),
        tables.row("1 M rows x 20: pipeline over bare fit", ratio, "x", 1.15, better="less"),
    ]


def large(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    """Many rows from Parquet, under a limit of memory that the kernel holds."""
    file = folder / "large.parquet"
    write(file, rows, chunk=1_000_000)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_parts", "large-child", str(file), str(rows)],
        check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        return [tables.row(f"{rows:,} rows within 3 GiB: exit", done.returncode, "", 0.0)]
    found = json.loads(done.stdout.splitlines()[-1])
    return [
        tables.row(f"{rows:,} rows x {WIDTH}: training", seconds, "s"),
        tables.row("its own memory at most (heap and anonymous)", found["own"], "GiB", 3.0,
                   better="less"),
        tables.row("with the pages of files that the kernel may take back", found["all"], "GiB"),
        tables.row("held-out AUROC", found["auroc"]),
    ]  # fmt: skip


def train_within(file: Path, rows: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (3 * GIB, 3 * GIB))
    trained = run(request_of("xgboost", file, n_estimators=20), file, peak := Peak())
    print(json.dumps({"own": peak.own, "all": peak.all, "auroc": trained.metrics["test"]["auroc"]}))


def parity_of_all(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    """ONNX against the model's own scores on 20,000 rows, a tenth of them with holes."""
    found: list[tables.Row] = []
    members: dict[str, Member] = {}
    signature = _signature()
    for name in algorithms.MODULES:
        train, validation, probe = (_part(n, seed) for seed, n in enumerate((8000, 3000, 20_000)))
        matrix = probe.matrix
        holes = np.random.default_rng(9).random((2000, matrix.shape[1])) < 0.3
        matrix[:2000][holes] = np.nan
        matrix[0] = np.nan
        quick = {"n_estimators": 50, "epochs": 3}
        defaults = schemas.defaults(name)
        parameters = {**defaults, **{k: v for k, v in quick.items() if k in defaults}}
        context = Context(0, THREADS, signature, lambda done: None, members=members)
        fitted = algorithms.load(name).fit(train, validation, parameters, context)
        onnx = fitted.onnx()
        worst = parity.check(onnx, matrix, fitted.predict(matrix))
        found.append(tables.row(f"ONNX parity on 20,000 rows: {name}", worst, "", 1e-5,
                                better="less"))  # fmt: skip
        if name in ("xgboost", "random_forest", "neural_network"):
            members[name] = Member(onnx, signature.columns)
    return found


def repeat(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    file = folder / "again.parquet"
    write(file, 100_000, chunk=100_000)
    request = request_of("xgboost", file, subsample=0.8, colsample_bytree=0.8)
    first, second = (run(request, file).files["model.ubj"] for _ in range(2))
    return [tables.row("XGBoost with the same seed: bytes that differ",
                       float(first != second), "", 0.0, better="less")]  # fmt: skip


def resume(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    """A fit that is broken off at 60 % and goes on, against one that wasn't."""
    found = []
    signature = _signature()
    for name in ("xgboost", "random_forest", "neural_network", "lstm"):
        parameters = {**schemas.defaults(name)}
        parameters |= {k: v for k, v in {"n_estimators": 50, "epochs": 5}.items()
                       if k in parameters}  # fmt: skip
        train, validation = _part(6000, 0), _part(2000, 1)
        module = algorithms.load(name)
        kept = Kept()

        def stop(done: Round) -> None:
            if done.done >= 0.6 * done.total:
                raise Cancelled

        broken = Context(3, THREADS, signature, stop, checkpoints=kept)
        with suppress(Cancelled):
            module.fit(train, validation, parameters, broken)
        quiet = Context(3, THREADS, signature, lambda done: None, checkpoints=kept)
        again = module.fit(train, validation, parameters, quiet).native()[1]
        whole = Context(3, THREADS, signature, lambda done: None)
        same = module.fit(train, validation, parameters, whole).native()[1]
        text = f"broken off at 60 % and resumed: {name} differs"
        found.append(tables.row(text, float(again != same), "", 0.0, better="less"))
    return found


def leak_alarms(data: Path, folder: Path, rows: int) -> list[tables.Row]:
    return leaks.planted(data / "transactions.parquet", folder)


PARTS = {
    "overhead": overhead, "large": large, "parity": parity_of_all, "repeat": repeat,
    "resume": resume, "leaks": leak_alarms,
}  # fmt: skip


# --- what they share ---------------------------------------------------------------


class Silent:
    def step(self, name: str, percent: int) -> None: ...
    def log(self, line: str) -> None: ...
    def round(self, done: Round, percent: int) -> None: ...
    def tick(self) -> None: ...


class Peak(Silent):
    """The most memory that this process had, in GiB, looked at when it reports."""

    def __init__(self) -> None:
        self.own = self.all = 0.0

    def look(self) -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
        gib = {name: int(size) / 1024**2 for name, size in sizes.items()}
        self.own = max(self.own, gib["RssAnon"] + gib["RssShmem"])
        self.all = max(self.all, gib["VmHWM"])

    def step(self, name: str, percent: int) -> None:
        self.look()

    def round(self, done: Round, percent: int) -> None:
        self.look()


class Kept:
    """Checkpoints in memory, after each round."""

    def __init__(self) -> None:
        self.state: bytes | None = None

    def load(self) -> bytes | None:
        return self.state

    def is_due(self) -> bool:
        return True

    def save(self, state: bytes) -> None:
        self.state = state


def request_of(algorithm: str, file: Path, **parameters: Any) -> Request:
    return Request(
        model="benchmark",
        algorithm=algorithm,
        dataset_name=file.name,
        origin={"path": file.name},
        hyperparameters={**schemas.defaults(algorithm), **parameters},
        choices=columns.Choices(label="is_fraud", time="event_time"),
        split=split.SplitRequest(label_delay_days=0),
        max_bytes=8 * GIB,
        scratch=file.parent,
        threads=THREADS,
    )


def run(request: Request, file: Path, report: Any = None) -> Trained:
    with file.open("rb") as opened:
        return pipeline.run(request, opened, report or Silent())


def bare_fit(file: Path, request: Request) -> float:
    """Seconds of the library's own fit on the pipeline's training matrix."""
    import xgboost as xgb

    table = pq.read_table(file)
    data = columns.assign(table, request.choices)
    parts = split.make(data.labels, data.seconds, request.split)
    names = list(data.kinds)
    matrix = np.column_stack([data.feature(n, parts.train) for n in names]).astype(np.float32)
    labels = data.labels[parts.train]
    options = dict(request.hyperparameters)
    trees = options.pop("n_estimators")
    del options["early_stopping_rounds"]
    options |= {"objective": "binary:logistic", "tree_method": "hist", "nthread": THREADS}
    started = time.perf_counter()
    bins = xgb.QuantileDMatrix(matrix, labels, max_bin=options["max_bin"])
    xgb.train(options, bins, num_boost_round=trees)
    return time.perf_counter() - started


def write(file: Path, rows: int, *, chunk: int) -> None:
    """Synthetic payments in time order: 20 numbers, a hundredth fraud that some of them tell."""
    with _writer(file) as writer:
        for start in range(0, rows, chunk):
            count = min(chunk, rows - start)
            writer.write_table(_rows(start, count))


@contextmanager
def _writer(file: Path) -> Iterator[pq.ParquetWriter]:
    with pq.ParquetWriter(file, _rows(0, 1).schema, compression="zstd") as writer:
        yield writer


def _rows(start: int, count: int) -> pa.Table:
    rng = np.random.default_rng(start)
    numbers = rng.normal(size=(count, WIDTH)).astype(np.float32)
    odds = numbers[:, :5].sum(axis=1) + numbers[:, 5] * numbers[:, 6] - 8.5
    labels = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    seconds = np.datetime64("2026-01-01", "s") + (start + np.arange(count))
    named: Mapping[str, Any] = {f"x{i}": numbers[:, i] for i in range(WIDTH)}
    return pa.table({"event_time": seconds, **named, "is_fraud": labels})


def _signature() -> Signature:
    return Signature([*(Feature(f"x{i}", "numeric") for i in range(8)), SEQUENCE])


def _part(rows: int, seed: int) -> Part:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 8 + SEQUENCE.width)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    known = np.nan_to_num(matrix)
    odds = 2 * known[:, 0] + known[:, 1] * known[:, 2] + known[:, -1] - 3
    return Part.of(matrix, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int8))


if __name__ == "__main__":
    main()
