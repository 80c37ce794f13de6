"""Which family a deployment's model is of."""

import pytest

from gateway.catalogue.starting_models import DEPLOYMENTS
from gateway.sizing.families import MEASURED, UNKNOWN, family_of
from gateway.sizing.images import Image
from scalix.embedded.demo_model import MODEL_NAME


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4.1", "openai"),
        ("openai/gpt-4o-mini", "openai"),
        ("o3", "openai"),
        ("gpt-6.1-sol", "openai"),
        ("openai/gpt-oss-120b", "openai"),
        ("claude-3-5-sonnet-20241022", "claude to 4.6"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude to 4.6"),
        ("claude-sonnet-4-20250514", "claude to 4.6"),
        ("anthropic/claude-sonnet-4.5", "claude to 4.6"),
        ("claude-opus-4-1@20250805", "claude to 4.6"),
        ("claude-opus-4-6", "claude to 4.6"),
        ("claude-opus-4-7", "claude from 4.7"),
        ("anthropic/claude-opus-4.8", "claude from 4.7"),
        ("claude-opus-4-10", "claude from 4.7"),
        ("claude-sonnet-5-5", "claude from 4.7"),
        ("claude-2.1", "claude from 4.7"),
        ("gemini-2.5-flash", "gemini"),
        ("google/gemma-3-27b-it", "gemini"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama"),
        ("llama3.2", "llama"),
        ("deepseek/deepseek-r1-distill-llama-70b", "llama"),
        ("meta-llama/llama-2-70b-chat", "sentencepiece"),
        ("codellama-34b", "sentencepiece"),
        ("Qwen/Qwen3-235B-A22B", "qwen"),
        ("deepseek-r1-distill-qwen-32b", "qwen"),
        ("z-ai/glm-4.6", "qwen"),
        ("moonshotai/kimi-k2", "kimi"),
        ("deepseek/deepseek-chat-v3-0324:free", "deepseek"),
        ("mistral-small-latest", "mistral"),
        ("open-mistral-nemo", "mistral"),
        ("mistralai/mixtral-8x7b-instruct", "sentencepiece"),
        ("mistralai/mistral-7b-instruct", "sentencepiece"),
        ("microsoft/wizardlm-2-8x22b", "sentencepiece"),
        (MODEL_NAME, "smollm"),
        ("x-ai/grok-4", "unknown"),
        ("demo-o3x", "unknown"),
    ],
)
def test_a_model_s_name_tells_its_family(model: str, name: str) -> None:
    assert family_of("openai", model).name == name


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("anthropic", "claude from 4.7"),
        ("gemini", "gemini"),
        ("mistral", "sentencepiece"),
        ("openai", "unknown"),  # any server may call itself that
        ("groq", "unknown"),
    ],
)
def test_where_the_name_says_nothing_the_provider_does(provider: str, name: str) -> None:
    assert family_of(provider, "its-best-model").name == name


def test_an_unknown_model_is_taken_for_the_finest() -> None:
    assert UNKNOWN.each_digit
    for family in MEASURED:
        for field in ("factor", "each_capital", "around", "extra", "with_tools", "sound"):
            assert getattr(UNKNOWN, field) >= getattr(family, field), (family.name, field)


def test_every_deployment_of_the_starting_catalogue_is_of_a_known_family() -> None:
    unnamed = {one.name for one in DEPLOYMENTS if one.upstream_model_variable}
    unknown = {
        one.name
        for one in DEPLOYMENTS
        if family_of(one.provider, one.upstream_model) == UNKNOWN and one.name not in unnamed
    }

    assert unknown == {"scalix-engine"}  # whatever its operator runs


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4o", 765),
        ("gpt-4.1", 765),
        ("gpt-4o-mini", 25_501),
        ("gpt-4.1-mini", 1_659),
        ("gpt-4.1-nano", 2_520),
        ("gpt-5-mini", 1_659),
        ("o4-mini", 1_762),
        ("gpt-5", 630),
        ("o1", 675),
        ("gpt-6.1-sol", 1_229),
        ("claude-sonnet-4-5", 1_369),
        ("claude-opus-5-5", 1_369),
        ("gemini-2.5-pro", 1_032),
        ("gemini-3-pro-preview", 1_120),
        ("qwen3-vl-plus", 1_369),
    ],
)
def test_an_image_of_1024_by_1024_takes_what_the_model_s_provider_publishes(
    model: str, tokens: int
) -> None:
    assert family_of("openai", model).image(Image(1_024, 1_024)) == tokens
