"""What staff see of quality, and what they may do about it."""

import datetime as dt
import html
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.identifiers import uuid7
from gateway.models import Deployment, HealthEvent, OpenCircuit, QualityStanding

DEPLOYMENTS = "/admin/gateway/deployment/"
QUALITY = "/admin/gateway/qualitystanding/"
SUBMITTED = {"_form_submitted": "on"}


@pytest.fixture
def poor() -> QualityStanding:
    """A deployment that lost its place."""
    deployment = Deployment.objects.create(name="poor", provider="openai", upstream_model="u")
    figures = {"5m": {"success": 0.7, "answers": 20}, "1h": {"first_token_ms": 1_234}}
    return QualityStanding.objects.create(
        deployment=deployment, lowered=True, since=timezone.now(), figures=figures
    )


def shown(client: Client, path: str) -> str:
    return html.unescape(client.get(path).content.decode())


def test_lists_say_who_lost_its_place_and_by_which_figures(
    staff: Client, poor: QualityStanding
) -> None:
    page = shown(staff, QUALITY)
    assert all(text in page for text in ("poor", "lost", "70.0%", "1,234 ms"))
    assert "lost by quality" in shown(staff, DEPLOYMENTS)


def test_where_quality_routing_is_off_that_is_said(staff: Client, poor: QualityStanding) -> None:
    Deployment.objects.update(quality_routing=False)
    assert "without effect" in shown(staff, QUALITY)
    assert "lost by quality" not in shown(staff, DEPLOYMENTS)


def test_open_circuits_are_shown_with_the_number_of_processes_while_those_live(
    staff: Client, poor: QualityStanding
) -> None:
    now = timezone.now()
    for ago in (1, 2, 60):
        heard_at = now - dt.timedelta(seconds=ago)
        OpenCircuit.objects.create(
            process_id=uuid7(), deployment="poor", opened_at=now, heard_at=heard_at
        )
    assert "circuit open in 2 processes" in shown(staff, DEPLOYMENTS)


def test_staff_give_a_place_back_and_it_is_on_record(staff: Client, poor: QualityStanding) -> None:
    staff.post(f"{QUALITY}{poor.pk}/give_back/", SUBMITTED)
    poor.refresh_from_db()
    assert not poor.lowered
    event = HealthEvent.objects.get()
    assert (event.kind, event.by and event.by.email) == ("reset", "root@example.com")


def test_who_may_only_look_gives_nothing_back(
    helper: Callable[..., Client], poor: QualityStanding
) -> None:
    client = helper("view_qualitystanding")
    assert "poor" in shown(client, QUALITY)
    refused = client.post(f"{QUALITY}{poor.pk}/give_back/", SUBMITTED)
    assert refused.status_code == 403
    poor.refresh_from_db()
    assert poor.lowered
    assert not HealthEvent.objects.exists()
