"""How often the beat looks: what the promises about payments rest on."""

import pytest

from scalix.celery import app


@pytest.mark.parametrize(
    ("task", "seconds"),
    [("drain_inbox", 2.0), ("reconcile", 600.0), ("send_mails", 10.0)],
)
def test_the_beat_looks_at_least_so_often(task: str, seconds: float) -> None:
    """A message that waited until the next one is dropped: a dead worker's queue doesn't grow."""
    name = f"billing.payments.tasks.{task}"
    entries = [one for one in app.conf.beat_schedule.values() if one["task"] == name]
    assert len(entries) == 1
    assert entries[0]["schedule"] <= seconds
    assert entries[0]["options"]["expires"] <= seconds
