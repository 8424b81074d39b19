"""Train, validation and test rows: ordered by time where there is a time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from training.ml.errors import TrainingError

Rows = npt.NDArray[np.intp]
DAY = 86_400.0
DEFAULT_DELAY_DAYS = 7.0
# below this many delays the file is too short to give a whole delay away by default
MIN_SPAN_IN_DELAYS = 4


@dataclass(frozen=True)
class Split:
    """Row numbers of each part; `method` and `gap_days` say how they were parted."""

    train: Rows
    validation: Rows
    test: Rows
    method: str
    gap_days: float
    note: str


@dataclass(frozen=True)
class SplitRequest:
    """Shares of the rows, and the label delay in days (None: 7 where the file is long enough);
    `delay_note` says why it is that."""

    validation: float = 0.2
    test: float = 0.1
    label_delay_days: float | None = None
    delay_note: str = "as requested"
    seed: int = 0


def make(
    labels: npt.NDArray[np.int8], seconds: npt.NDArray[np.float64] | None, request: SplitRequest
) -> Split:
    """Part the rows.

    With times (seconds, shape (n,)): the newest share is the test, the rows of
    the label delay before it are left out, because their labels would not have
    arrived when the model was trained, and the newest of the rest validate.
    Without: at random, each part with the same share of fraud.
    Raises `TrainingError` when a part would lack one of the classes.
    """
    split = _at_random(labels, request) if seconds is None else _by_time(seconds, request)
    for part, parameter in (
        ("train", "test_split"),
        ("validation", "validation_split"),
        ("test", "test_split"),
    ):
        if len(np.unique(labels[getattr(split, part)])) < 2:  # noqa: PLR2004 - two classes
            raise TrainingError(parameter, f"the {part} part would not hold both classes")
    return split


def _by_time(seconds: npt.NDArray[np.float64], request: SplitRequest) -> Split:
    order = np.argsort(seconds, kind="stable")
    ordered = seconds[order]
    test_from = ordered[int(len(ordered) * (1 - request.test))]
    gap, note = _gap_days(ordered, request)
    known = order[ordered < test_from - gap * DAY]
    boundary = int(len(known) * (1 - request.validation))
    return Split(
        train=known[:boundary],
        validation=known[boundary:],
        test=order[ordered >= test_from],
        method="time",
        gap_days=gap,
        note=note,
    )


def _gap_days(ordered: npt.NDArray[np.float64], request: SplitRequest) -> tuple[float, str]:
    if request.label_delay_days is not None:
        return request.label_delay_days, request.delay_note
    span = (ordered[-1] - ordered[0]) / DAY
    if span < MIN_SPAN_IN_DELAYS * DEFAULT_DELAY_DAYS:
        return 0.0, f"no label delay: the file spans {span:.1f} days only"
    return DEFAULT_DELAY_DAYS, "default label delay"


def _at_random(labels: npt.NDArray[np.int8], request: SplitRequest) -> Split:
    rows = np.arange(len(labels))
    try:
        rest, test = train_test_split(
            rows, test_size=request.test, random_state=request.seed, stratify=labels
        )
        train, validation = train_test_split(
            rest, test_size=request.validation, random_state=request.seed, stratify=labels[rest]
        )
    except ValueError as error:
        raise TrainingError(
            "test_split", f"too few rows of one class to split ({error})"
        ) from error
    return Split(train, validation, test, "random, stratified", 0.0, "the file has no time column")
