"""What is known of providers by their name: how they are called, and who gives one answer a call.

Known without litellm, whose import takes seconds: staff's pages show it, too.  A test holds it
against what litellm's own classes say of each provider.
"""

from enum import StrEnum
from typing import Final


class Way(StrEnum):
    """One of them; its value is how staff read it."""

    OPENAI_WIRE = "OpenAI's wire, passed through"
    TRANSLATED = "translated here"
    LITELLM = "by litellm itself"


TRANSLATED: Final = frozenset({"anthropic", "gemini"})

_NAMES: Final = """
ai21 ai21_chat aiohttp_openai amazon_nova apertis assemblyai baseten bedrock_mantle cerebras
charity_engine chutes clarifai cloudflare codestral cognition cometapi compactifai cortecs
custom custom_openai darkbloom dashscope databricks deepinfra deepseek docker_model_runner
edenai empower featherless_ai fireworks_ai friendliai galadriel github gradient_ai groq helicone
heroku hosted_vllm huggingface hyperbolic inception lambda_ai libertai litellm_proxy llamafile
lm_studio maritalk meta meta_llama minimax mistral modelscope moonshot morph nadir nano-gpt
nebius neosantara novita nscale nvidia_nim oobabooga openai openai_like openrouter ovhcloud
parasail perplexity pinstripes poe prism publicai qwen_ai_platform qwencloud reka sail sambanova
scaleway scx-ai snowflake synthetic tencent tensormesh together_ai v0 vercel_ai_gateway
vertex_ai vllm volcengine wandb xai xiaomi_mimo zai
"""
_OPENAI_WIRE: Final = frozenset(_NAMES.split())

_ONE_ANSWER_NAMES: Final = """
a2a amazon_nova anthropic anthropic_text baseten bedrock cerebras clarifai codestral fal_ai
gigachat gradient_ai inception langflow langgraph mistral morph nadir nvidia_nim ollama
ollama_chat perplexity petals replicate sambanova snowflake text-completion-codestral
text-completion-inception triton v0 watsonx_text zai
"""
ONE_ANSWER: Final = frozenset(_ONE_ANSWER_NAMES.split())
"""Providers to which `n` can't be put: asked for several answers, they would give one."""


def way_of(provider: str) -> Way:
    """How a provider's deployments are called, as a rule: by litellm's name for it."""
    if provider in TRANSLATED:
        return Way.TRANSLATED
    return Way.OPENAI_WIRE if provider in _OPENAI_WIRE else Way.LITELLM
