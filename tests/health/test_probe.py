"""Every usable deployment is asked for a token now and then, at nobody's expense."""

import asyncio
import datetime as dt
from collections.abc import Iterator

import pytest
import redis
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.identifiers import uuid7
from billing.models import GatewayProcess, LedgerEntry
from gateway.health.probe import probe_usable
from gateway.health.tasks import probe_deployments, probe_those_on_trial
from gateway.models import Deployment, HealthEvent, ProbeResult, PublicModel, QualityStanding
from tests.upstream.double import UpstreamDouble

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def deployment(settings: Settings, upstream: UpstreamDouble) -> Iterator[Deployment]:
    """The only one that has what it needs: it is the upstream."""
    settings.PROVIDER_VARIABLES = {
        "UPSTREAM_BASE_URL": upstream.base_url,
        "UPSTREAM_API_KEY": "sk-double",
        "UPSTREAM_MODEL": "double-small",
    }
    call_command("seed_catalogue")
    return Deployment.objects.get(base_url_variable="UPSTREAM_BASE_URL")


def served(deployment: Deployment, *, ago: dt.timedelta) -> None:
    """A request that this deployment answered so long ago."""
    then = timezone.now() - ago
    LedgerEntry.objects.create(
        id=uuid7(int(then.timestamp() * 1000)),
        account_id=uuid7(),
        tier="free",
        model="scalix-free",
        deployment=deployment.name,
        status=LedgerEntry.Status.SETTLED,
        charged=True,
        streamed=False,
        reserved_tokens=20,
        admitted_at=then,
        deadline_at=then,
        ended_at=then,
        process_id=uuid7(),
    )


def test_a_deployment_that_answers_is_recorded_with_its_latency(deployment: Deployment) -> None:
    probe_deployments()
    result = ProbeResult.objects.get()
    assert result.deployment == deployment
    assert (result.succeeded, result.error) == (True, "")
    assert timezone.now() - result.probed_at < dt.timedelta(minutes=1)


def test_a_probe_is_one_short_completion_and_counts_against_nobody(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    probe_deployments()
    (call,) = upstream.log()
    assert (call["maximum"], call["completion_tokens"]) == (1, 1)
    assert call["prompt_tokens"] < 20
    assert not LedgerEntry.objects.exists()
    assert not GatewayProcess.objects.exists()


@pytest.mark.parametrize(
    ("fault", "error"), [("500", "provider_"), ("401", "provider_"), ("garbage", "provider_")]
)
def test_a_deployment_that_fails_is_recorded_with_the_reason(
    deployment: Deployment, upstream: UpstreamDouble, fault: str, error: str
) -> None:
    upstream.script(fault=fault)
    probe_deployments()
    result = ProbeResult.objects.get()
    assert not result.succeeded
    assert error in result.error


def test_a_deployment_that_does_not_answer_in_time_has_failed(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    upstream.script(fault="timeout")
    (probed,) = asyncio.run(probe_usable(seconds=0.2))
    assert (probed.deployment, probed.succeeded) == (deployment.name, False)
    assert probed.error


def test_deployments_that_miss_a_key_or_are_off_are_left_alone(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    assert Deployment.objects.count() > 1
    deployment.enabled = False
    deployment.save()
    probe_deployments()
    assert not ProbeResult.objects.exists()
    assert upstream.received() == 0


def test_one_that_fails_takes_no_other_with_it(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    broken = Deployment.objects.create(
        name="broken", provider="openai", upstream_model="x", base_url="http://127.0.0.1:9/v1"
    )
    broken.serves.add(PublicModel.objects.get(name="scalix-free"))
    probe_deployments()
    results = dict(ProbeResult.objects.values_list("deployment__name", "succeeded"))
    assert results == {deployment.name: True, "broken": False}


def test_a_deployment_at_a_private_address_is_not_called_and_the_reason_is_recorded(
    deployment: Deployment, settings: Settings
) -> None:
    settings.PROVIDER_PRIVATE_HOSTS = ()
    private = Deployment.objects.create(
        name="private", provider="openai", upstream_model="x", base_url="http://127.0.0.1:9/v1"
    )
    private.serves.add(PublicModel.objects.get(name="scalix-free"))
    probe_deployments()
    result = ProbeResult.objects.get(deployment=private)
    assert not result.succeeded
    assert "PROVIDER_PRIVATE_HOSTS does not allow it" in result.error
    assert ProbeResult.objects.get(deployment=deployment).succeeded  # the environment names it


def test_live_traffic_proves_a_deployment_as_well(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    served(deployment, ago=dt.timedelta(seconds=10))
    probe_deployments()
    assert upstream.received() == 0
    assert not ProbeResult.objects.exists()


def test_live_traffic_of_long_ago_proves_nothing(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    served(deployment, ago=dt.timedelta(minutes=3))
    probe_deployments()
    assert upstream.received() == 1


def test_after_a_failed_probe_only_a_probe_takes_it_back(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    ProbeResult.objects.create(deployment=deployment, succeeded=False, latency_ms=1)
    served(deployment, ago=dt.timedelta(seconds=10))
    probe_deployments()
    assert ProbeResult.objects.filter(succeeded=True).count() == 1


def test_results_are_kept_for_a_week(deployment: Deployment) -> None:
    now = timezone.now()
    for days in (6, 8):
        ProbeResult.objects.create(
            deployment=deployment,
            succeeded=True,
            latency_ms=1,
            probed_at=now - dt.timedelta(days=days),
        )
    probe_deployments()
    ages = sorted((now - one.probed_at).days for one in ProbeResult.objects.all())
    assert ages == [-1, 6]


def test_one_whose_capacity_is_all_taken_is_left_to_its_callers(
    deployment: Deployment, upstream: UpstreamDouble, flush: "redis.Redis"
) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(requests_per_minute=1)
    probe_deployments()
    probe_deployments()
    assert upstream.received() == 1
    assert ProbeResult.objects.count() == 1


def test_one_on_trial_is_probed_although_live_traffic_proves_it(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    served(deployment, ago=dt.timedelta(seconds=10))
    probe_those_on_trial()
    assert upstream.received() == 0  # it has its place

    now = timezone.now()
    QualityStanding.objects.create(deployment=deployment, lowered=True, held_until=now)
    probe_those_on_trial()
    assert upstream.received() == 1
    assert ProbeResult.objects.get().succeeded


def test_that_probes_fail_and_are_answered_again_is_on_record_once_each(
    deployment: Deployment, upstream: UpstreamDouble
) -> None:
    for fault in (None, "500", "500", None, None):
        upstream.reset()
        if fault:
            upstream.script(fault=fault)
        probe_deployments()
    kinds = list(HealthEvent.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == [HealthEvent.Kind.PROBE_FAILED, HealthEvent.Kind.PROBE_ANSWERED]
