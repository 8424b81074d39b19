"""Signs that a model was shown what it can't know when it serves."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from training.ml.errors import Evidence, LeakSuspected
from training.ml.part import Part

LEAK = "leak"  # the override that lets the signs in the data pass
MIN_FRAUDS = 20  # fewer can look like anything
SAMPLE = 200_000
COPY_AUROC = 0.985
AFTER_AUROC = 0.6
PERFECT_AUROC = 0.9995
HIGH_AP = 0.85
RARE = 0.05
# what is written down only after somebody found out
_AFTERWARDS = re.compile(
    r"(^|_)(charge_?backs?|disput(e|ed|es)|refund(ed|s)?|revers(al|ed)|fraud_?(type|scenario|reason"
    r"|date|amount)|(fraud_)?scenario|investigat(ion|ed|or)|case_?(status|id|outcome)|resol(ved|ution)"
    r"|confirmed|disposition|blocked_?(at|by|reason)|closed_?(at|by|reason)|write_?off|recover(ed|y))"
    r"($|_)",
    re.I,
)

Auroc = float


def refuse(evidence: Sequence[Evidence], overrides: Mapping[str, str]) -> list[str]:
    """Sentences about the evidence that was overridden; raises `LeakSuspected` for the rest."""
    open_ones = [found for found in evidence if not overrides.get(found.kind)]
    if open_ones:
        raise LeakSuspected(open_ones)
    return [f"{found.text} Overridden: {overrides[found.kind]}" for found in evidence]


def in_features(train: Part, columns: Sequence[str]) -> list[Evidence]:
    """Features that are almost the label, or that by their names are known only later and that
    say something about it. At most `SAMPLE` training rows are looked at."""
    labels = train.truth
    if int(labels.sum()) < MIN_FRAUDS:
        return []
    places = np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(np.intp)
    places = np.union1d(places, np.flatnonzero(labels == 1)[: SAMPLE // 2])
    matrix, known = train.take(places), labels[places]
    found = []
    for i, column in enumerate(columns):
        auroc = one_sided_auroc(known, matrix[:, i])
        if auroc >= COPY_AUROC:
            text = f"{column} alone tells fraud from the rest (AUROC {auroc:.4f})."
            found.append(Evidence(LEAK, column, text, auroc))
        elif auroc >= AFTER_AUROC and _AFTERWARDS.search(column.split("=")[0]):
            text = f"{column} sounds like something that is known only after the fraud was found."
            found.append(Evidence(LEAK, column, text, auroc))
    return found


def one_sided_auroc(labels: npt.NDArray[np.int8], values: npt.NDArray[np.floating]) -> Auroc:
    """How well one column orders the labels, in whichever direction it does, with NaN as the
    lowest value; 0.5 says nothing."""
    filled = np.where(np.isnan(values), -np.inf, values)
    frauds = int(labels.sum())
    genuine = len(labels) - frauds
    if not frauds or not genuine:
        return 0.5
    above = rankdata(filled)[labels == 1].sum() - frauds * (frauds + 1) / 2
    auroc = float(above / (frauds * genuine))
    return max(auroc, 1 - auroc)


def in_scores(test: Mapping[str, float]) -> list[Evidence]:
    """Scores on held-out rows that are too good for fraud."""
    auroc, precision = test["auroc"], test["average_precision"]
    if test["frauds"] < MIN_FRAUDS:
        return []
    if auroc >= PERFECT_AUROC:
        text = f"An AUROC of {auroc:.4f} on held-out rows is too good to be true."
        return [Evidence(LEAK, "", text, auroc)]
    if precision >= HIGH_AP and test["prevalence"] < RARE:
        text = (
            f"An average precision of {precision:.3f} at {test['prevalence']:.2%} fraud is too good"
            " to be true: is a label used before it was known?"
        )
        return [Evidence(LEAK, "", text, precision)]
    return []


def without_history(dropped: Mapping[str, str], declared: Sequence[str]) -> list[Evidence]:
    """A feature set whose features have no values, or one only: its history isn't there."""
    empty = [name for name in declared if "value" in dropped.get(name, "")]
    if not declared or 2 * len(empty) < len(declared):
        return []
    shown = ", ".join(sorted(empty)[:5])
    text = (
        f"{len(empty)} of {len(declared)} features have no value or always the same ({shown}): no"
        " history reaches the model. Were the earlier events ingested?"
    )
    return [Evidence("no_history", "", text, len(empty) / len(declared))]


def known_entities(known: npt.NDArray[np.bool_], labels: npt.NDArray[np.int8]) -> list[Evidence]:
    """Test rows of entities whose fraud was known, kept in the test; both of shape (test,)."""
    if not known.any():
        return []
    share = float(labels[known].sum() / max(1, labels.sum()))
    text = (
        f"{int(known.sum()):,} test rows are of entities whose fraud was known by then, with"
        f" {share:.0%} of the test's fraud: a model that knows them seems better than it is."
    )
    return [Evidence("known_entities", "", text, share)]


def shared_entities(
    train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], entities: npt.NDArray[np.int64]
) -> list[Evidence]:
    """Entities on both sides of a random split; row numbers, and each row's entity."""
    both = np.isin(entities[test], entities[train])
    share = float(both.mean()) if len(both) else 0.0
    if not share:
        return []
    text = f"{share:.0%} of the test rows are of entities that the training rows have too."
    return [Evidence("shared_entities", "", text, share)]
