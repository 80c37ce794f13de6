"""Each provider is called at its own address: a key never goes to anybody else."""

import pytest

from gateway.catalogue.starting_models import DEPLOYMENTS, StartingDeployment
from gateway.providers.translation import wire_of
from gateway.types import Target

HOSTS = {
    "openai": "https://api.openai.com/v1/",
    "openrouter": "https://openrouter.ai/api/v1/",
    "deepseek": "https://api.deepseek.com/",
}


def target(provider: str, model: str = "m", base_url: str | None = None) -> Target:
    return Target(
        deployment="d",
        provider=provider,
        upstream_model=model,
        base_url=base_url,
        api_key="sk-theirs",
        priority=1,
        weight=1,
    )


@pytest.mark.parametrize(
    "deployment",
    [one for one in DEPLOYMENTS if not one.base_url_variable],
    ids=lambda one: one.name,
)
def test_a_starting_deployment_is_called_at_its_providers_address(
    deployment: StartingDeployment,
) -> None:
    provider = deployment.provider
    wire = wire_of(target(provider, deployment.upstream_model, deployment.base_url or None))
    if wire is None:  # not OpenAI's wire: litellm makes the call, and knows the address
        assert provider in ("gemini", "anthropic")
        return
    assert wire.url.startswith(HOSTS[provider])
    assert wire.url.endswith("/chat/completions")


def test_openais_own_address_has_its_version() -> None:
    wire = wire_of(target("openai"))
    assert wire is not None
    assert wire.url == "https://api.openai.com/v1/chat/completions"


def test_a_provider_whose_address_the_wire_does_not_know_is_left_to_litellm() -> None:
    assert wire_of(target("openrouter")) is None


def test_an_address_that_staff_gave_is_the_one_that_is_called() -> None:
    wire = wire_of(target("openrouter", base_url="http://127.0.0.1:9/v1"))
    assert wire is not None
    assert wire.url == "http://127.0.0.1:9/v1/chat/completions"


@pytest.mark.parametrize("provider", ["groq", "mistral", "together_ai", "xai", "deepseek"])
def test_no_other_providers_key_goes_to_openai(provider: str) -> None:
    wire = wire_of(target(provider))
    assert wire is None or "openai.com" not in wire.url
