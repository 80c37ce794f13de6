"""What a new database's catalogue holds, and that staff's edits outlive every start."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connection

from accounts.postgres import ReadPool
from billing.models import Price
from gateway.catalogue.price_file import capabilities_of, figures_of
from gateway.catalogue.seed import SEEDED_DEPLOYMENTS, SEEDED_MODELS, Seeded, seed
from gateway.catalogue.snapshot import Catalogue
from gateway.catalogue.starting_models import DEPLOYMENTS, MODELS
from gateway.models import Deployment, Placement, PublicModel
from scalix.embedded.demo_model import CONTEXT_TOKENS, MODEL_NAME


def served_by(model: str, tier: str) -> list[str]:
    placements = Placement.objects.filter(model__name=model, tier=tier).order_by("priority")
    return list(placements.values_list("deployment__name", flat=True))


def test_a_new_database_gets_the_models_that_the_product_names(db: None) -> None:
    seed()
    free = {"scalix-free", "scalix-auto", "scalix-demo"}
    free |= {"free-gemini-flash", "free-gemini-pro", "free-deepseek", "free-wizardlm"}
    free |= {"free-gemini-embedding"}
    assert set(PublicModel.objects.filter(tier="free").values_list("name", flat=True)) == free
    pro = set(PublicModel.objects.filter(tier="pro").values_list("name", flat=True))
    assert pro >= {"scalix-engine", "gpt-4", "claude-3"}


@pytest.mark.parametrize("model", ["scalix-free", "scalix-auto"])
def test_the_free_pool_tries_ones_own_server_first_and_the_demo_last(db: None, model: str) -> None:
    seed()
    first, *offers, last = served_by(model, "free")
    assert (first, last) == ("upstream", "demo")
    assert offers[:4] == [
        "gemini-flash",
        "gemini-pro",
        "openrouter-deepseek",
        "openrouter-wizardlm",
    ]


def test_on_pro_the_automatic_choice_begins_with_the_best(db: None) -> None:
    seed()
    assert served_by("scalix-auto", "pro")[0] == "anthropic-claude-sonnet-5-5"
    placements = Placement.objects.filter(model__name="scalix-auto")
    best, others = placements.filter(tier="pro"), placements.filter(tier="free")
    assert max(one.priority for one in best) < min(one.priority for one in others)
    assert served_by("scalix-free", "pro") == []


def test_what_deployments_take_is_what_their_models_file_says(db: None) -> None:
    known = {one.name: capabilities_of(one.priced_as) for one in DEPLOYMENTS if one.priced_as}
    assert {
        one.name: {
            "tools": one.takes_tools,
            "images": one.takes_images,
            "audio": one.takes_audio,
            "JSON schemas": one.takes_json_schemas,
        }
        for one in DEPLOYMENTS
        if one.priced_as
    } == known


def test_a_second_run_creates_nothing(db: None) -> None:
    seed()
    assert seed() == Seeded(models=[], deployments=[], placements=[], prices=[])


def test_what_staff_edited_stays(db: None) -> None:
    seed()
    PublicModel.objects.filter(name="gpt-4").update(title="Ours", enabled=False)
    Deployment.objects.filter(name="demo").update(upstream_model="another")
    Placement.objects.filter(model__name="scalix-free").update(priority=7)
    seed()
    model = PublicModel.objects.get(name="gpt-4")
    assert (model.title, model.enabled) == ("Ours", False)
    assert Deployment.objects.get(name="demo").upstream_model == "another"
    assert set(
        Placement.objects.filter(model__name="scalix-free").values_list("priority", flat=True)
    ) == {7}


def test_a_placement_that_staff_removed_stays_removed(db: None) -> None:
    seed()
    Placement.objects.filter(model__name="scalix-free", deployment__name="demo").delete()
    seed()
    assert "demo" not in served_by("scalix-free", "free")


def test_a_model_that_is_new_in_a_release_comes_with_its_placements(db: None) -> None:
    seed()
    PublicModel.objects.filter(name="free-deepseek").delete()
    created = seed()
    assert created.models == ["free-deepseek"]
    assert served_by("free-deepseek", "free") == ["openrouter-deepseek", "deepseek"]


def test_a_price_that_staff_set_is_the_only_one(db: None) -> None:
    Price.objects.create(kind="plan", subject="gpt-4", prompt_micros=1, completion_micros=2)
    seed()
    prices = Price.objects.filter(kind="plan", subject="gpt-4")
    assert [(price.prompt_micros, price.completion_micros) for price in prices] == [(1, 2)]


@pytest.mark.parametrize(
    ("model", "dollars_per_thousand"),
    [("scalix-engine", 0.02), ("gpt-4", 0.03), ("scalix-free", 0), ("scalix-demo", 0)],
)
def test_plans_charge_what_the_product_says(
    db: None, model: str, dollars_per_thousand: float
) -> None:
    seed()
    price = Price.objects.get(kind="plan", subject=model)
    micros_per_million = round(dollars_per_thousand * 1_000 * 1_000_000)
    assert price.prompt_micros == price.completion_micros == micros_per_million


def test_provider_prices_are_litellms(db: None) -> None:
    seed()
    price = Price.objects.get(kind="provider", subject="gemini-flash")
    known = figures_of("gemini/gemini-2.5-flash")
    assert (price.prompt_micros, price.completion_micros) == (
        known.prompt_micros,
        known.completion_micros,
    )
    assert known.prompt_micros == 300_000  # $0.30 a million tokens


def test_litellm_is_asked_for_no_model_that_it_does_not_know() -> None:
    with pytest.raises(KeyError):
        figures_of("no-such-model")


def test_the_demo_has_the_demo_models_own_name_and_size(db: None) -> None:
    seed()
    assert PublicModel.objects.get(name="scalix-demo").context_window == CONTEXT_TOKENS
    assert Deployment.objects.get(name="demo").upstream_model == MODEL_NAME


def test_every_model_is_served_by_a_deployment_that_exists() -> None:
    assert {name for model in MODELS for name in model.served_by} <= SEEDED_DEPLOYMENTS
    assert len(SEEDED_MODELS) == len(MODELS)


def test_every_row_is_one_that_staff_could_save(db: None) -> None:
    seed()
    for row in (*PublicModel.objects.all(), *Deployment.objects.all()):
        row.full_clean(validate_unique=False)


@pytest.mark.parametrize(
    ("variables", "usable"),
    [
        ({}, set()),
        ({"UPSTREAM_BASE_URL": "http://x/v1", "UPSTREAM_MODEL": "m"}, {"upstream"}),
        ({"UPSTREAM_API_KEY": "k"}, set()),
        ({"GEMINI_API_KEY": "k"}, {"gemini-flash", "gemini-pro", "gemini-embedding"}),
        ({"SCALIX_PRO_API_KEY": "k"}, set()),
        (
            {"SCALIX_PRO_API_KEY": "k", "SCALIX_ENGINE_URL": "http://x/v1"},
            {"scalix-engine"},
        ),
        ({"DEMO_MODEL_URL": "http://x/v1"}, {"demo"}),
    ],
)
async def test_keys_switch_on_the_deployments_that_they_belong_to(
    reads: ReadPool, variables: dict[str, str], usable: set[str]
) -> None:

    await sync_to_async(seed)()
    deployments = [row async for row in Deployment.objects.all()]
    assert {row.name for row in deployments if not row.missing_variables(variables)} == usable

    # The request path decides by a query of its own: both must agree.
    catalogue = Catalogue(reads, variables)
    await catalogue.refresh()
    targets = {target.deployment for row in catalogue.usable() for target in row.targets}
    assert targets == usable


def test_two_starts_at_once_create_each_row_once(transactional_db: None) -> None:
    def start(_: int) -> Seeded:
        try:
            return seed()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(start, range(2)))
    assert sorted(len(created.models) for created in both) == [0, len(MODELS)]
    assert PublicModel.objects.count() == len(MODELS)


def test_the_command_says_what_it_created(db: None) -> None:
    out = StringIO()
    call_command("seed_catalogue", stdout=out)
    call_command("seed_catalogue", stdout=out)
    first, second = out.getvalue().splitlines()
    assert first.startswith(f"Catalogue: created {len(MODELS)} models")
    assert second == "Catalogue: nothing was missing."


def test_the_command_says_it_as_json(db: None) -> None:
    out = StringIO()
    call_command("seed_catalogue", "--json", stdout=out)
    assert set(json.loads(out.getvalue())["models"]) == SEEDED_MODELS
