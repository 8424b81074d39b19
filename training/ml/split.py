"""Train, validation and test rows: ordered by time where there is a time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from training.ml.errors import Evidence, LeakSuspected, TrainingError

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int8]
Seconds = npt.NDArray[np.float64]
DAY = 86_400.0
DEFAULT_DELAY_DAYS = 7.0
# below this many delays the file is too short to give a whole delay away by default
MIN_SPAN_IN_DELAYS = 4


@dataclass(frozen=True)
class Split:
    """Row numbers of each part; `method` and `gap_days` say how they were parted, `notes` what
    people should know of it."""

    train: Rows
    validation: Rows
    test: Rows
    method: str
    gap_days: float
    note: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitRequest:
    """Shares of the rows, or `test_from` (seconds since 1970) in place of the test's share.

    `label_delay_days` is the gap before the test rows (None: 7 where the file is long enough),
    `delay_note` says why it is that, `least_delay_days` what the labels really take. A random
    split of rows that have times, or a shorter gap, needs an entry in `overrides`: a reason under
    "random_split" or "label_delay".
    """

    validation: float = 0.2
    test: float = 0.1
    test_from: float | None = None
    at_random: bool = False
    label_delay_days: float | None = None
    delay_note: str = "as requested"
    least_delay_days: float | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    seed: int = 0


def make(
    labels: Labels | None, seconds: Seconds | None, request: SplitRequest, *, count: int = 0
) -> Split:
    """Part the rows, of which there are `count` when they have neither labels nor times.

    With times (seconds, shape (n,)): the newest share is the test, the rows of
    the label delay before it are left out, because their labels would not have
    arrived when the model was trained, and the newest of the rest validate.
    Without: at random, each part with the same share of fraud.
    Raises `TrainingError` when a part would lack one of the classes, and `LeakSuspected`
    for a split that lets the future in without a reason.
    """
    if seconds is None:
        note = "the file has no time column"
        split = _at_random(labels, request, note, count if labels is None else len(labels))
    elif request.at_random:
        note = _overridden(request, "random_split", _RANDOM, 1.0)
        split = _at_random(labels, request, note, len(seconds))
    else:
        split = _by_time(seconds, request)
    _refuse_one_class(labels, split)
    return split


_RANDOM = (
    "The rows have times, and a random split lets a model learn from the days that it is tested"
    " on: use the time split, or give a reason in overrides.random_split."
)


def without_known(split: Split, labels: Labels, seconds: Seconds, entities: Rows) -> Split:
    """The split without test rows of entities whose fraud was known before that day.

    Known means: a fraud in the data, older than the label delay at the day's start (Fraud
    Detection Handbook, chapter 5). Nobody asks about such a card again, and a model that is
    tested on it seems better than it is.
    """
    known = known_before(split, labels, seconds, entities)
    gone = int(known.sum())
    if not gone:
        return split
    note = f"{gone:,} test rows of entities with a known fraud are left out"
    kept = {"test": split.test[~known], "notes": (*split.notes, note)}
    changed = Split(**{**split.__dict__, **kept})
    _refuse_one_class(labels, changed)
    return changed


def known_before(
    split: Split, labels: Labels, seconds: Seconds, entities: Rows
) -> npt.NDArray[np.bool_]:
    """Which test rows are of an entity whose fraud was known before their day, shape (test,)."""
    first = np.full(int(entities.max()) + 1, np.inf)
    frauds = labels == 1
    np.minimum.at(first, entities[frauds], seconds[frauds])
    day = np.floor(seconds[split.test] / DAY) * DAY
    known: npt.NDArray[np.bool_] = first[entities[split.test]] < day - split.gap_days * DAY
    return known


def _refuse_one_class(labels: Labels | None, split: Split) -> None:
    if labels is None:
        return
    for part, parameter in (
        ("train", "test_split"),
        ("validation", "validation_split"),
        ("test", "test_split"),
    ):
        rows = getattr(split, part)
        if len(np.unique(labels[rows])) < 2:  # noqa: PLR2004 - two classes
            held = "no rows" if not len(rows) else f"{len(rows):,} rows of one class"
            raise TrainingError(
                parameter,
                f"the {part} part would not hold both classes (it has {held});"
                " use more data, another share, or another time to part at",
            )


def _by_time(seconds: Seconds, request: SplitRequest) -> Split:
    order = np.argsort(seconds, kind="stable")
    ordered = seconds[order]
    test_from = request.test_from
    if test_from is None:
        test_from = ordered[min(int(len(ordered) * (1 - request.test)), len(ordered) - 1)]
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
        notes=(f"test rows are from {_day(test_from)} on",),
    )


def _gap_days(ordered: Seconds, request: SplitRequest) -> tuple[float, str]:
    wanted, least = request.label_delay_days, request.least_delay_days
    if wanted is not None and least is not None and wanted < least:
        text = (
            f"Labels take {least:g} days, and a gap of {wanted:g} days before the test rows lets"
            " the model learn labels that nobody had yet: keep the gap, or give a reason in"
            " overrides.label_delay."
        )
        return wanted, _overridden(request, "label_delay", text, wanted)
    if wanted is not None:
        return wanted, request.delay_note
    span = (ordered[-1] - ordered[0]) / DAY
    if span < MIN_SPAN_IN_DELAYS * DEFAULT_DELAY_DAYS:
        return 0.0, f"no label delay: the file spans {span:.1f} days only"
    return DEFAULT_DELAY_DAYS, "default label delay"


def _overridden(request: SplitRequest, kind: str, text: str, value: float) -> str:
    reason = request.overrides.get(kind)
    if not reason:
        raise LeakSuspected([Evidence(kind, "", text, value)])
    return f"overridden: {reason}"


def _at_random(labels: Labels | None, request: SplitRequest, note: str, count: int) -> Split:
    rows = np.arange(count)
    seed = request.seed
    try:
        rest, test = train_test_split(
            rows, test_size=request.test, random_state=seed, stratify=labels
        )
        train, validation = train_test_split(
            rest,
            test_size=request.validation,
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
    except ValueError as error:
        raise TrainingError(
            "test_split", f"too few rows of one class to split ({error})"
        ) from error
    method = "random" if labels is None else "random, stratified"
    return Split(train, validation, test, method, 0.0, note)


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
