"""`GET /v1/models`: what the caller may use now."""

import httpx

from gateway.models import Deployment, PublicModel
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking, error_of
from tests.api.conftest import LedgerRows, Serve, Untouched
from tests.conftest import Person
from tests.waiting import until


async def names(client: httpx.AsyncClient, person: Person, query: str = "") -> list[str]:
    response = await client.get(f"/v1/models{query}", headers=person.headers)
    assert response.json()["object"] == "list"
    return [model["id"] for model in response.json()["data"]]


async def test_the_list_has_what_the_plan_allows_and_somebody_serves(
    client: httpx.AsyncClient, alice: Person, bob: Person, serve: Serve
) -> None:
    await serve("expensive", tier="pro")

    assert await names(client, bob) == ["scalix-auto", "scalix-free"]
    assert await names(client, alice) == ["expensive", "scalix-auto", "scalix-free"]


async def test_what_is_above_the_plan_is_shown_as_locked_to_those_who_ask(
    client: httpx.AsyncClient, bob: Person, serve: Serve
) -> None:
    await serve("expensive", tier="pro")
    response = await client.get("/v1/models?include=locked", headers=bob.headers)

    locked = {model["id"]: model["locked"] for model in response.json()["data"]}
    assert locked == {"expensive": True, "scalix-auto": False, "scalix-free": False}


async def test_a_model_has_openai_s_fields_and_its_figures(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.get("/v1/models/scalix-free", headers=bob.headers)

    model = response.json()
    assert (model["id"], model["object"], model["owned_by"]) == ("scalix-free", "model", "scalix")
    assert isinstance(model["created"], int)
    assert (model["context_window"], model["max_output_tokens"]) == (32_768, 8_192)
    assert (model["plan"], model["locked"]) == ("free", False)
    assert response.headers["x-scalix-plan"] == "free"


async def test_a_name_may_have_slashes(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, serve: Serve
) -> None:
    await serve("meta/llama:free")
    response = await client.get("/v1/models/meta/llama:free", headers=bob.headers)

    assert response.json()["id"] == "meta/llama:free"


async def test_a_name_that_is_none_is_told_the_nearest(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.get("/v1/models/scalix-fre", headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (404, "model_not_found")
    assert error["metadata"]["did_you_mean"][0] == "scalix-free"


async def test_the_list_is_for_those_with_a_token(
    client: httpx.AsyncClient, untouched: Untouched
) -> None:
    response = await client.get("/v1/models")

    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
    await untouched()


async def test_a_model_that_staff_switch_off_is_soon_gone(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    await PublicModel.objects.filter(name="scalix-auto").aupdate(enabled=False)

    async def gone() -> bool:
        return await names(client, bob) == ["scalix-free"]

    await until(gone)
    response = await client.post(COMPLETIONS, json=asking(model="scalix-auto"), headers=bob.headers)
    assert response.status_code == 404
    assert await ledger_rows() == []


async def test_a_deployment_that_staff_switch_off_is_soon_not_called(
    client: httpx.AsyncClient, bob: Person
) -> None:
    await Deployment.objects.filter(name="upstream").aupdate(enabled=False)

    async def gone() -> bool:
        return await names(client, bob) == []

    await until(gone)
