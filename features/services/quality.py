"""How often the rules of a stream were broken."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection
from django.utils import timezone

from features.models import RuleCount, Stream

ROWS = "rows"  # the rule that counts what was checked
UNKNOWN = "unknown_field"
MAX_UNKNOWN = 100  # names of unknown fields that are counted apart on a day; senders choose them
Broken = Mapping[tuple[str, str], int]  # rule and field: how often

_ADD = """
    INSERT INTO features_rulecount (stream_id, day, rule, field, count)
    SELECT %s, %s, given.rule, given.field, given.count
    FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS given(rule, field, count)
    ORDER BY given.rule, given.field
    ON CONFLICT (stream_id, day, rule, field)
    DO UPDATE SET count = features_rulecount.count + excluded.count
"""


@dataclass(frozen=True)
class RuleRate:
    """`rate` is the share of the day's `rows` that broke the rule at the field."""

    day: date
    rule: str
    field: str
    count: int
    rows: int
    rate: float


def count(*, stream: Stream, rows: int, broken: Broken) -> None:
    """Add to today's counts; the last statement of a transaction, for others wait for it."""
    today = timezone.now().date()
    counts = Counter(_within_limits(stream, today, broken)) + Counter({(ROWS, ""): rows})
    rules, fields = zip(*counts, strict=True) if counts else ((), ())
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [stream.pk, today, list(rules), list(fields), list(counts.values())])


def _within_limits(stream: Stream, today: date, broken: Broken) -> Counter[tuple[str, str]]:
    """Names of unknown fields beyond the limit are counted together, without a name."""
    unknown = {field for rule, field in broken if rule == UNKNOWN}
    if not unknown:
        return Counter(broken)
    told = stream.rule_counts.filter(day=today, rule=UNKNOWN).values_list("field", flat=True)
    known = set(told[: MAX_UNKNOWN + 1])
    new = sorted(unknown - known)[: max(0, MAX_UNKNOWN - len(known))]
    shown = known | set(new)
    found: Counter[tuple[str, str]] = Counter()
    for (rule, field), times in broken.items():
        found[rule, field if rule != UNKNOWN or field in shown else ""] += times
    return found


def rates(*, stream: Stream, days: int) -> list[RuleRate]:
    """What was broken on the last `days` days, today included; the newest first, then the most
    frequent. Days without any row are left out, clean days have one entry of the rule "rows"."""
    since = timezone.now().date() - timedelta(days=days - 1)
    counts = list(RuleCount.objects.filter(stream=stream, day__gte=since))
    rows = {c.day: c.count for c in counts if c.rule == ROWS}
    found = [
        RuleRate(c.day, c.rule, c.field, c.count, total, min(1.0, c.count / total))
        for c in counts
        if (total := rows.get(c.day, 0))
    ]
    return sorted(found, key=lambda r: (-r.day.toordinal(), r.rule != ROWS, -r.count, r.rule))
