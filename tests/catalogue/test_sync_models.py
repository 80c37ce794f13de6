"""`manage.py sync_models FILE`: a LiteLLM proxy's configuration becomes models and deployments."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from gateway.catalogue.seed import seed
from gateway.catalogue.starting_models import OPENROUTER
from gateway.models import Deployment, Placement, PublicModel

# The two configurations that the product was first described with, as they are.
BOTH_TIERS = """
model_list:
  # Free tier models
  - model_name: free-gemini-flash
    litellm_params:
      model: gemini/gemini-2.5-flash
      api_key: ${GEMINI_API_KEY}

  # Pro tier models
  - model_name: scalix-engine
    litellm_params:
      model: openai-compatible/scalix-engine
      api_key: ${SCALIX_PRO_API_KEY}
      base_url: ${SCALIX_ENGINE_URL}

general_settings:
  master_key: ${LITELLM_MASTER_KEY}
  database_url: ${DATABASE_URL}

router_settings:
  routing_strategy: usage-based-routing
  free_tier_limits:
    requests_per_hour: 10
    requests_per_day: 50
    tokens_per_day: 10000
"""
FREE_TIER = """
model_list:
  # Free tier models
  - model_name: free-gemini-flash
    litellm_params:
      model: gemini/gemini-2.5-flash
      api_key: ${GEMINI_API_KEY}
      metadata:
        free_tier: true
        priority: 1

  - model_name: free-gemini-pro
    litellm_params:
      model: gemini/gemini-pro
      api_key: ${GEMINI_API_KEY}
      metadata:
        free_tier: true
        priority: 2

  - model_name: free-deepseek
    litellm_params:
      model: openrouter/deepseek/deepseek-chat-v3-0324:free
      api_key: ${OPENROUTER_API_KEY}
      metadata:
        free_tier: true
        priority: 3

general_settings:
  master_key: ${LITELLM_MASTER_KEY}
  database_url: ${DATABASE_URL}

router_settings:
  routing_strategy: usage-based-routing
  redis_host: ${REDIS_HOST}
  redis_port: ${REDIS_PORT}
  # Free tier specific settings
  free_tier_enabled: true
  free_tier_limits:
    requests_per_hour: 10
    requests_per_day: 50
    tokens_per_day: 10000

# Custom callbacks for free tier tracking
success_callback: ["custom_free_tier_tracker"]
failure_callback: ["custom_free_tier_error_handler"]
"""

Json = dict[str, Any]


@pytest.fixture
def sync(db: None, tmp_path: Path) -> Any:
    """Runs the command on a text; what it printed as JSON."""

    def run(text: str, *options: str) -> Json:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        out = StringIO()
        call_command("sync_models", str(path), "--json", *options, stdout=out)
        return dict(json.loads(out.getvalue()))

    return run


def rows() -> Json:
    """All that can be changed, by name."""
    return {
        "models": list(PublicModel.objects.order_by("name").values()),
        "deployments": list(Deployment.objects.order_by("name").values()),
        "placements": list(Placement.objects.order_by("id").values()),
    }


def config(*entries: Json, **sections: Any) -> str:
    return yaml.safe_dump({"model_list": list(entries)} | sections)


def entry(name: str = "new", model: str = "gpt-4.1", **parameters: Any) -> Json:
    return {"model_name": name, "litellm_params": {"model": model} | parameters}


@pytest.mark.parametrize("text", [BOTH_TIERS, FREE_TIER], ids=["both tiers", "free tier"])
@pytest.mark.parametrize("seeded", [True, False], ids=["over the seeds", "into nothing"])
def test_the_first_descriptions_files_load_as_they_are(sync: Any, text: str, seeded: bool) -> None:
    if seeded:
        seed()
    first = sync(text)
    after = rows()
    again = sync(text)
    assert (again["created"], again["changed"]) == ([], [])
    assert rows() == after
    assert not any("free_tier_limits" in remark for remark in first["remarks"])
    assert any(remark == "general_settings is not used" for remark in first["remarks"])


def test_what_is_there_already_is_found_and_not_doubled(sync: Any) -> None:
    seed()
    before = Deployment.objects.count()
    done = sync(BOTH_TIERS)
    assert Deployment.objects.count() == before
    assert done["created"] == []
    assert sorted(done["changed"]) == [
        "model free-gemini-flash: balancing weight → least-connections",
        "model scalix-engine: balancing weight → least-connections",
    ]


def test_a_new_catalogue_has_what_the_file_says(sync: Any) -> None:
    sync(FREE_TIER)
    flash = PublicModel.objects.get(name="free-gemini-flash")
    assert (flash.tier, flash.context_window) == ("free", 1_048_576)
    placed = Placement.objects.get(model__name="free-deepseek")
    assert placed.priority == 3
    deepseek = placed.deployment
    assert (deepseek.provider, deepseek.base_url) == ("openrouter", OPENROUTER)
    assert deepseek.upstream_model == "deepseek/deepseek-chat-v3-0324:free"
    assert deepseek.api_key_variable == "OPENROUTER_API_KEY"
    assert deepseek.name == "openrouter-deepseek-deepseek-chat-v3-0324:free"


def test_what_is_free_joins_the_free_pool_at_its_priority(sync: Any) -> None:
    seed()
    sync(FREE_TIER)
    joined = Placement.objects.get(
        model__name="scalix-free", deployment__upstream_model="gemini-pro"
    )
    assert joined.priority == 12


def test_a_model_that_does_not_say_it_is_free_is_for_pro(sync: Any) -> None:
    done = sync(config(entry()))
    assert PublicModel.objects.get(name="new").tier == "pro"
    assert any("for Pro until you change it" in remark for remark in done["remarks"])


def test_limits_weights_and_places_are_taken_and_a_name_twice_is_two_deployments(
    sync: Any,
) -> None:
    own = {"api_base": "${OLLAMA_BASE_URL}", "api_key": "none", "weight": 3}
    sync(
        config(
            entry("shared", rpm=15, tpm=9_000, max_parallel_requests=4, order=2),
            entry("shared", "openai/llama", **own),
        )
    )
    rented, owned = Placement.objects.filter(model__name="shared").order_by("-priority")
    limits = rented.deployment
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (15, 9_000)
    assert (limits.requests_at_once, rented.priority) == (4, 2)
    assert (owned.deployment.base_url_variable, owned.weight) == ("OLLAMA_BASE_URL", 3)
    assert owned.deployment.api_key_variable == ""
    sync(config(entry("shared", rpm=30)))
    limits.refresh_from_db()
    assert (limits.requests_per_minute, limits.tokens_per_minute) == (30, 9_000)


def test_fallbacks_come_after_a_models_own_deployments(sync: Any) -> None:
    router = {"fallbacks": [{"small": ["large"]}], "routing_strategy": "simple-shuffle"}
    sync(config(entry("small"), entry("large", "gpt-6.1-sol"), router_settings=router))
    placed = Placement.objects.filter(model__name="small").order_by("priority")
    assert [one.deployment.upstream_model for one in placed] == ["gpt-4.1", "gpt-6.1-sol"]
    assert PublicModel.objects.get(name="small").balancing == "weight"


def test_a_dry_run_says_the_same_and_writes_nothing(sync: Any) -> None:
    before = rows()
    dry = sync(FREE_TIER, "--dry-run")
    assert rows() == before
    wet = sync(FREE_TIER)
    assert {**dry, "dry_run": False} == wet
    assert len(wet["created"]) == 9


def test_what_is_not_taken_over_is_said(sync: Any) -> None:
    limits = {"free_tier_limits": {"requests_per_hour": 99}, "redis_host": "x"}
    text = config(entry(timeout=5), router_settings=limits, litellm_settings={"cache": True})
    remarks = sync(text)["remarks"]
    assert "litellm_settings is not used" in remarks
    assert "router_settings.redis_host is not used" in remarks
    assert "model_list[0].litellm_params.timeout is not used (new)" in remarks
    assert any("requests_per_hour is 99; the free plan has 10" in one for one in remarks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "this is no YAML"),
        ("- a", "the file is missing, or no mapping"),
        ("{}", "model_list is missing"),
        (config({"model_name": "x"}), "model_list[0].litellm_params is missing"),
        (config({"litellm_params": {"model": "x"}}), "model_list[0].model_name is missing"),
        (config(entry(api_key="sk-12345")), "api_key is a key itself"),
        (config(entry(rpm="many")), "litellm_params.rpm is no number"),
        (config(entry(metadata={"free_tier": "yes"})), "neither true nor false"),
        (config(entry("openai/*", "openai/*")), "is a pattern"),
        (config(entry(model="nonsense")), "knows no provider for the model 'nonsense'"),
        (config(entry(api_key="${SECRET}")), "The name of an environment variable"),
        (config(entry(model="openai/m", api_base="http://10.0.0.1/v1")), "no public address"),
        (config(entry("bad name")), "Letters, digits"),
        (
            config(entry(), router_settings={"fallbacks": [{"new": ["gone"]}]}),
            "there is no model gone",
        ),
    ],
)
def test_what_can_not_be_taken_over_is_told_and_nothing_is_written(
    sync: Any, text: str, said: str
) -> None:
    before = rows()
    with pytest.raises(CommandError) as refused:
        sync(text)
    assert said in str(refused.value)
    assert str(refused.value).endswith("Nothing was changed.")
    assert rows() == before


def test_one_bad_entry_keeps_the_good_ones_out(sync: Any) -> None:
    before = rows()
    with pytest.raises(CommandError):
        sync(config(entry("good"), entry("bad", "nonsense")))
    assert rows() == before


def test_a_file_that_is_not_there_is_named(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.yaml can't be read"):
        call_command("sync_models", str(tmp_path / "nowhere.yaml"))


def test_people_get_lines(db: None, tmp_path: Path) -> None:
    path, out = tmp_path / "config.yaml", StringIO()
    path.write_text(config(entry(timeout=5)), encoding="utf-8")
    call_command("sync_models", str(path), "--dry-run", stdout=out)
    printed = out.getvalue()
    assert "+ model new" in printed
    assert "! model_list[0].litellm_params.timeout is not used (new)" in printed
    assert printed.endswith("Would be: 3 created, 0 changed, 0 as they were.\n")
