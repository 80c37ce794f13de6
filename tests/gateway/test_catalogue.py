"""The catalogue in memory: what the tables say, with the variables that they name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from accounts.postgres import ReadPool
from gateway.catalogue.snapshot import Catalogue, ModelRow
from gateway.models import Deployment, Placement, ProbeResult, PublicModel, QualityStanding

Read = Callable[..., Awaitable[Catalogue]]


def make(model: str, *deployments: str, tier: str = "free", **fields: Any) -> PublicModel:
    """A model and its deployments, each of a lower priority than the one before."""
    row = PublicModel.objects.create(
        name=model, title=model, tier=tier, context_window=1000, max_output_tokens=100
    )
    for priority, name in enumerate(deployments):
        values = {"provider": "openai", "upstream_model": "u"} | fields
        deployment, _ = Deployment.objects.get_or_create(name=name, defaults=values)
        Placement.objects.create(model=row, deployment=deployment, priority=priority)
    return row


@pytest.fixture
def read(reads: ReadPool) -> Read:
    """Fills the tables and reads them."""

    async def fill_and_read(
        fill: Callable[[], object], variables: Mapping[str, str] | None = None
    ) -> Catalogue:
        await sync_to_async(fill)()
        catalogue = Catalogue(reads, variables or {})
        await catalogue.refresh()
        return catalogue

    return fill_and_read


def found(catalogue: Catalogue, name: str) -> ModelRow:
    row = catalogue.find(name)
    assert row is not None
    return row


def serving(catalogue: Catalogue, name: str) -> list[str]:
    return [target.deployment for target in found(catalogue, name).targets]


async def test_a_model_has_its_figures_and_its_deployments_in_order(read: Read) -> None:
    catalogue = await read(lambda: make("m", "first", "second"))

    entry = found(catalogue, "m").entry
    assert (entry.name, entry.tier) == ("m", "free")
    assert (entry.context_window, entry.max_output_tokens) == (1000, 100)
    assert serving(catalogue, "m") == ["first", "second"]


async def test_what_is_switched_off_is_not_there(read: Read) -> None:
    def fill() -> None:
        make("on", "good", "bad")
        make("off", "good")
        Deployment.objects.filter(name="bad").update(enabled=False)
        PublicModel.objects.filter(name="off").update(enabled=False)

    catalogue = await read(fill)

    assert catalogue.find("off") is None
    assert serving(catalogue, "on") == ["good"]


async def test_a_model_that_nobody_serves_is_known_and_not_usable(read: Read) -> None:
    catalogue = await read(lambda: make("m"))

    assert catalogue.loaded
    assert found(catalogue, "m").targets == ()
    assert catalogue.usable() == []
    assert catalogue.available_to("pro") == []


async def test_without_any_model_it_is_not_loaded(read: Read) -> None:
    assert not (await read(lambda: None)).loaded


@pytest.mark.parametrize(
    ("variables", "served"),
    [
        ({}, []),
        ({"X_API_KEY": "k"}, []),
        ({"X_API_KEY": "k", "X_BASE_URL": "http://x/v1"}, []),
        ({"X_API_KEY": "k", "X_BASE_URL": "http://x/v1", "X_MODEL": "large"}, ["d"]),
    ],
)
async def test_a_deployment_serves_once_every_variable_that_it_names_is_set(
    read: Read, variables: dict[str, str], served: list[str]
) -> None:
    names = {
        "api_key_variable": "X_API_KEY",
        "base_url_variable": "X_BASE_URL",
        "upstream_model_variable": "X_MODEL",
    }
    catalogue = await read(lambda: make("m", "d", **names), variables)

    assert serving(catalogue, "m") == served
    for target in found(catalogue, "m").targets:
        assert (target.api_key, target.base_url) == ("k", "http://x/v1")
        assert target.upstream_model == "large"


async def test_a_key_that_is_optional_may_lack(read: Read) -> None:
    fields: dict[str, Any] = {"api_key_variable": "X_API_KEY", "api_key_optional": True}
    without = await read(lambda: make("m", "d", **fields))
    [target] = found(without, "m").targets

    assert target.api_key is None


async def test_a_deployment_whose_last_probe_failed_comes_after_all_that_answer(
    read: Read,
) -> None:
    def fill() -> None:
        make("m", "failing", "healed", "fine")
        for name, successes in (("failing", [True, False]), ("healed", [False, True])):
            deployment = Deployment.objects.get(name=name)
            for succeeded in successes:
                ProbeResult.objects.create(deployment=deployment, succeeded=succeeded, latency_ms=1)

    assert serving(await read(fill), "m") == ["healed", "fine", "failing"]


async def test_a_model_is_of_the_families_of_all_deployments_that_can_serve_it(
    read: Read,
) -> None:
    def fill() -> None:
        make("m", "first", "second", "third")
        for name, upstream, variable in (
            ("first", "gpt-4.1", ""),
            ("second", "claude-opus-4-8", ""),
            ("third", "gemini-2.5-pro", "NOT_SET_API_KEY"),
        ):
            Deployment.objects.filter(name=name).update(
                upstream_model=upstream, api_key_variable=variable
            )

    families = found(await read(fill), "m").families

    assert [family.name for family in families] == ["openai", "claude from 4.7"]


async def test_deployments_of_one_family_count_once(read: Read) -> None:
    catalogue = await read(lambda: make("m", "first", "second", upstream_model="deepseek-chat"))

    assert [family.name for family in found(catalogue, "m").families] == ["deepseek"]


async def test_what_is_read_again_replaces_what_was(read: Read, reads: ReadPool) -> None:
    catalogue = await read(lambda: make("m", "d"))
    await PublicModel.objects.all().adelete()
    await catalogue.refresh()

    assert catalogue.find("m") is None


async def test_the_nearest_names_are_those_that_the_caller_may_use(read: Read) -> None:
    def fill() -> None:
        make("scalix-free", "d")
        make("scalix-fred", "d", tier="pro")
        make("scalix-frei")  # nobody serves it

    catalogue = await read(fill)

    assert catalogue.nearest("scalix-fre", "free") == ["scalix-free"]
    assert set(catalogue.nearest("scalix-fre", "pro")) == {"scalix-free", "scalix-fred"}
    assert catalogue.nearest("zzz", "pro") == []


async def test_one_that_lost_its_place_comes_after_those_that_answer_well(read: Read) -> None:
    def fill() -> None:
        make("m", "down", "poor", "well")
        poor, down = (Deployment.objects.get(name=name) for name in ("poor", "down"))
        QualityStanding.objects.create(deployment=poor, lowered=True)
        ProbeResult.objects.create(deployment=down, succeeded=False, latency_ms=1)

    assert serving(await read(fill), "m") == ["well", "poor", "down"]


async def test_quality_moves_no_deployment_for_which_staff_have_switched_that_off(
    read: Read,
) -> None:
    def fill() -> None:
        make("m", "poor", "well", quality_routing=False)
        poor = Deployment.objects.get(name="poor")
        QualityStanding.objects.create(deployment=poor, lowered=True)

    assert serving(await read(fill), "m") == ["poor", "well"]
