"""How a study stands: its trials, the best so far, how far it is and how long it still takes."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.utils import timezone

from training.choices import StudyStatus, TrialStatus
from training.models import Study, Trial

_DONE = 100  # percent


@dataclass(frozen=True)
class Standing:
    """A study at one moment, from one question to the database."""

    study: Study
    trials: tuple[Trial, ...]
    at: datetime

    @classmethod
    def of(cls, study: Study) -> "Standing":
        trials = study.trials.select_related("job__version__model").order_by("number")
        return cls(study, tuple(trials), timezone.now())

    @property
    def best(self) -> Trial | None:
        """The one with the highest value, and the earlier of equals."""
        valued = [t for t in self.trials if t.status == TrialStatus.SUCCEEDED]
        return max(valued, key=lambda t: (t.value or 0.0, -t.number), default=None)

    @cached_property
    def ended(self) -> int:
        return sum(trial.is_finished for trial in self.trials)

    def count(self, status: TrialStatus) -> int:
        return sum(trial.status == status for trial in self.trials)

    @property
    def progress(self) -> int:
        """Percent of the search: of its trials or of its time, whatever ends it first."""
        if self.study.searched_at is not None:
            return _DONE
        shares = [0.0]
        if self.study.trials_wanted:
            under_way = sum(t.progress for t in self.trials if not t.is_finished) / _DONE
            shares.append((self.ended + under_way) / self.study.trials_wanted)
        if self.study.time_budget_seconds and self.study.started_at:
            shares.append((self.study.seconds or 0.0) / self.study.time_budget_seconds)
        return min(_DONE - 1, int(_DONE * max(shares)))

    @property
    def eta_seconds(self) -> float | None:
        """How long the search still takes, by the mean of the trials that ended; None when
        nobody can say."""
        study = self.study
        if study.status != StudyStatus.RUNNING or study.searched_at is not None:
            return None
        found = []
        took = [t.seconds for t in self.trials if t.is_finished and t.seconds is not None]
        if study.trials_wanted and took:
            left = max(0, study.trials_wanted - self.ended)
            found.append(sum(took) / len(took) * left / study.workers)
        if study.deadline is not None:
            found.append(max(0.0, (study.deadline - self.at).total_seconds()))
        return round(min(found), 1) if found else None
