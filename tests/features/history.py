"""Payments of the past in a stream, for what is built from them."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from features.models import Stream
from features.services import events
from tests.factories import make_user, raw_event

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = [
    {"name": "payments_7d", "aggregate": "count", "window": "7d"},
    {"name": "spent_7d", "aggregate": "sum", "of": "amount", "window": "7d"},
    {"name": "shop", "expression": "merchant_category"},
    {"name": "size", "expression": "log(amount)"},
]


def payments(count: int = 600, *, start: datetime = START) -> list[dict[str, Any]]:
    """Payments of five customers, one each three hours; a tenth is fraud, mostly high amounts."""
    rng = random.Random(1)
    rows = []
    for i in range(count):
        fraud = rng.random() < 0.1
        moment = start + timedelta(hours=3 * i)
        rows.append(
            raw_event(
                transaction_id=f"p{i}",
                timestamp=moment.isoformat(),
                customer_id=f"c{rng.randrange(5)}",
                amount=round(rng.lognormvariate(5.0 if fraud else 3.5, 0.8), 2),
                merchant_category=rng.choice(["online", "travel"] if fraud else ["fuel", "online"]),
                is_fraud=fraud,
            )
        )
    return rows


def load(stream: Stream, rows: list[dict[str, Any]], **how: Any) -> None:
    """Log the rows as known when they happened."""
    given = {"history": True, **how}
    done = events.ingest(
        stream=stream, rows=rows, actor=make_user("operator"), source="tests", **given
    )
    assert done.rejected == 0, done.errors


def iso(days: float) -> str:
    """The moment so many days after the first payment."""
    return (START + timedelta(days=days)).isoformat()
