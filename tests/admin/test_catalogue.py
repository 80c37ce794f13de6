"""What staff see of models and deployments, and what they may edit."""

import html
import socket

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Plan, Price
from gateway.catalogue.seed import seed
from gateway.models import Deployment, ProbeResult, PublicModel
from gateway.providers.reachability import PrivateHost

DEPLOYMENTS = "/admin/gateway/deployment/"
MODELS = "/admin/gateway/publicmodel/"
PLANS = "/admin/billing/plan/"
PRICES = "/admin/billing/price/"


@pytest.fixture(autouse=True)
def _catalogue(db: None, settings: Settings) -> None:
    settings.PROVIDER_VARIABLES = {"OPENAI_API_KEY": "sk-very-secret"}
    seed()


def shown(staff: Client, path: str, **query: str) -> str:
    return html.unescape(staff.get(path, query).content.decode())


def test_a_deployment_says_which_variable_it_misses(staff: Client) -> None:
    assert "not set: GEMINI_API_KEY" in shown(staff, DEPLOYMENTS, q="gemini-flash")
    assert "usable" in shown(staff, DEPLOYMENTS, q="openai-gpt-4.1")


def test_a_deployment_that_is_off_says_that(staff: Client) -> None:
    Deployment.objects.filter(name="openai-gpt-4.1").update(enabled=False)
    assert "switched off" in shown(staff, DEPLOYMENTS, q="openai-gpt-4.1")


def test_no_page_shows_a_key(staff: Client) -> None:
    row = Deployment.objects.get(name="openai-gpt-4.1")
    for path in ("/admin/", DEPLOYMENTS, f"{DEPLOYMENTS}{row.pk}/change/"):
        page = shown(staff, path)
        assert "sk-very-secret" not in page
    assert "OPENAI_API_KEY" in page


def test_a_deployment_shows_how_its_latest_probe_went(staff: Client) -> None:
    row = Deployment.objects.get(name="openai-gpt-4.1")
    ProbeResult.objects.create(deployment=row, succeeded=True, latency_ms=412)
    assert "412 ms" in shown(staff, DEPLOYMENTS, q=row.name)
    ProbeResult.objects.create(deployment=row, succeeded=False, latency_ms=9)
    assert "412 ms" not in shown(staff, DEPLOYMENTS, q=row.name)


def test_a_model_says_whether_any_deployment_can_serve_it(staff: Client) -> None:
    assert "usable" in shown(staff, MODELS, q="gpt-4")
    assert "not set: ANTHROPIC_API_KEY" in shown(staff, MODELS, q="claude-3")
    assert "none of 7 deployments" in shown(staff, MODELS, q="scalix-free")


def test_what_the_next_start_would_create_again_cannot_be_deleted(staff: Client) -> None:
    row = PublicModel.objects.get(name="gpt-4")
    assert staff.post(f"{MODELS}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"}
    staff.post(MODELS, selected)
    assert PublicModel.objects.filter(name="gpt-4").exists()


def test_staffs_own_models_can_be_deleted(staff: Client) -> None:
    row = PublicModel.objects.create(
        name="ours", title="Ours", context_window=1, max_output_tokens=1
    )
    staff.post(f"{MODELS}{row.pk}/delete/", {"post": "yes"})
    assert not PublicModel.objects.filter(name="ours").exists()


def test_a_variable_must_be_a_name_and_never_a_key(staff: Client) -> None:
    form = {
        "name": "ours",
        "provider": "openai",
        "upstream_model": "m",
        "api_key_variable": "sk-live-123",
        "placements-TOTAL_FORMS": "0",
        "placements-INITIAL_FORMS": "0",
    }
    page = staff.post(f"{DEPLOYMENTS}add/", form).content.decode()
    assert "A secret itself is never stored." in page
    assert not Deployment.objects.filter(name="ours").exists()


def saved_at(staff: Client, base_url: str) -> str:
    """What the form says to a deployment at this address; nothing if it was saved."""
    form = {
        "name": "ours",
        "provider": "openai",
        "upstream_model": "m",
        "base_url": base_url,
        "placements-TOTAL_FORMS": "0",
        "placements-INITIAL_FORMS": "0",
    }
    response = staff.post(f"{DEPLOYMENTS}add/", form)
    created, _ = Deployment.objects.filter(name="ours").delete()
    page = html.unescape(response.content.decode())
    assert bool(created) is (response.status_code == 302), page
    return page


@pytest.mark.parametrize(
    ("base_url", "leads_to", "setting"),
    [
        ("http://127.0.0.1:8001/v1", "127.0.0.1", "127.0.0.1:8001"),
        ("https://localhost/v1", "127.0.0.1", "localhost:443"),
        ("http://[::ffff:10.0.0.1]/v1", "10.0.0.1", "[::ffff:10.0.0.1]:80"),
        ("http://169.254.169.254/v1", "169.254.169.254", "169.254.169.254:80"),
        ("http://rebound.example/v1", "10.1.2.3", "rebound.example:80"),
    ],
)
def test_a_private_address_is_refused_with_the_setting_that_allows_it(
    staff: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    leads_to: str,
    setting: str,
) -> None:
    real = socket.getaddrinfo
    names = {"rebound.example": "10.1.2.3", "localhost": "127.0.0.1"}
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: real(names.get(host, host), *rest, **more),
    )
    settings.PROVIDER_PRIVATE_HOSTS = ()
    page = saved_at(staff, base_url)
    assert f"This leads to {leads_to}, which is no public address." in page
    assert f"PROVIDER_PRIVATE_HOSTS={setting}" in page
    settings.PROVIDER_PRIVATE_HOSTS = PrivateHost.read(setting)
    assert saved_at(staff, base_url) == ""


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("ftp://api.example.com/v1", "Providers are called over https:// or http://."),
        ("http://user:password@api.example.com/v1", "An address holds no credentials"),
        ("http://ｅxample.com/v1", "Write this address in plain ASCII"),
        ("http://2130706433/v1", "Enter a valid URL."),
        ("http://127.1/v1", "Enter a valid URL."),
        ("http://[fe80::1%25eth0]/v1", "Enter a valid URL."),
        ("unix:///var/run/docker.sock", "Enter a valid URL."),
    ],
)
def test_what_is_no_providers_address_is_refused(staff: Client, base_url: str, said: str) -> None:
    assert said in saved_at(staff, base_url)


def test_an_address_of_the_operators_may_be_typed_too(staff: Client, settings: Settings) -> None:
    settings.PROVIDER_PRIVATE_HOSTS = ()
    settings.PROVIDER_VARIABLES = {"UPSTREAM_BASE_URL": "http://127.0.0.1:11434/v1"}
    assert saved_at(staff, "http://127.0.0.1:11434/v1") == ""
    assert "no public address" in saved_at(staff, "http://127.0.0.1:11435/v1")


def test_names_may_have_dots_as_providers_have_them(staff: Client) -> None:
    form = {
        "name": "gpt-4.1",
        "title": "GPT-4.1",
        "kind": "chat",
        "tier": "pro",
        "balancing": "weight",
        "cache_seconds": "0",
        "context_window": "1000",
        "max_output_tokens": "100",
        "enabled": "on",
        "placements-TOTAL_FORMS": "0",
        "placements-INITIAL_FORMS": "0",
    }
    staff.post(f"{MODELS}add/", form)
    assert PublicModel.objects.filter(name="gpt-4.1").exists()


def limits(**changed: str) -> dict[str, str]:
    plan = {
        "requests_per_hour": "10",
        "requests_per_day": "50",
        "tokens_per_day": "10000",
        "concurrent_requests": "2",
        "context_window": "32768",
        "prompt_characters": "10000",
        "default_max_tokens": "1024",
    }
    return plan | changed


def test_a_plans_limits_are_edited_and_empty_is_no_limit(staff: Client) -> None:
    staff.post(f"{PLANS}free/change/", limits(requests_per_hour="30", tokens_per_day=""))
    plan = Plan.objects.get(tier="free")
    assert (plan.requests_per_hour, plan.tokens_per_day) == (30, None)


def test_a_limit_of_zero_is_refused(staff: Client) -> None:
    staff.post(f"{PLANS}free/change/", limits(requests_per_hour="0"))
    assert Plan.objects.get(tier="free").requests_per_hour == 10


def test_plans_are_neither_added_nor_deleted(staff: Client) -> None:
    assert staff.get(f"{PLANS}add/").status_code == 403
    assert staff.post(f"{PLANS}free/delete/", {"post": "yes"}).status_code == 403


def test_a_price_is_superseded_and_never_changed(staff: Client) -> None:
    row = Price.objects.get(kind="plan", subject="gpt-4")
    assert staff.post(f"{PRICES}{row.pk}/change/", {"prompt_micros": "1"}).status_code == 403
    assert staff.post(f"{PRICES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    new = {
        "kind": "plan",
        "subject": "gpt-4",
        "prompt_micros": "1",
        "completion_micros": "2",
        "valid_from_0": "2026-12-01",
        "valid_from_1": "00:00:00",
    }
    staff.post(f"{PRICES}add/", new)
    assert Price.objects.filter(kind="plan", subject="gpt-4").count() == 2


def test_prices_are_listed_in_dollars(staff: Client) -> None:
    assert "$30.00" in shown(staff, PRICES, q="gpt-4")
