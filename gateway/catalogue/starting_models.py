"""What a new database's catalogue holds.  From then on the tables are staff's.

Priorities of the free models are those of the product's first description.  Names that providers
have retired since stay public, served by the successor that their description names.
"""

from dataclasses import dataclass, field
from typing import Final

from billing.models import Tier
from gateway.types import Kind

_LAST: Final = 1_000
OPENROUTER: Final = "https://openrouter.ai/api/v1"  # which litellm's class for it does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingDeployment:
    """A row of Deployment.  `priced_as` is litellm's name for what the provider charges."""

    name: str
    provider: str
    upstream_model: str = ""
    upstream_model_variable: str = ""
    base_url: str = ""
    base_url_variable: str = ""
    api_key_variable: str = ""
    api_key_optional: bool = False
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    requests_at_once: int | None = None
    takes_tools: bool = True
    takes_images: bool = True
    takes_audio: bool = False
    takes_json_schemas: bool = True
    context_window: int | None = None
    priced_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingModel:
    """A row of PublicModel, and the deployments that serve it, by priority: `served_to_pro_by`
    those that only Pro's callers are sent to.

    `sized_as` is litellm's name for the model whose context window and longest answer it has;
    without one the two are given here.  `plan_micros` is what the plan charges, in millionths of
    $1 a million tokens; None charges what the first deployment's provider takes.
    """

    name: str
    title: str
    description: str
    served_by: dict[str, int]
    served_to_pro_by: dict[str, int] = field(default_factory=dict)
    tier: Tier = Tier.FREE
    sized_as: str = ""
    context_window: int = 0
    max_output_tokens: int = 0
    plan_micros: int | None = 0
    kind: Kind = Kind.CHAT


DEPLOYMENTS: Final = (
    StartingDeployment(
        name="upstream",
        provider="openai",
        upstream_model_variable="UPSTREAM_MODEL",
        base_url_variable="UPSTREAM_BASE_URL",
        api_key_variable="UPSTREAM_API_KEY",
        api_key_optional=True,
        takes_audio=True,  # whatever it is: what it can't take it refuses itself
    ),
    StartingDeployment(
        name="gemini-flash",
        provider="gemini",
        upstream_model="gemini-2.5-flash",
        api_key_variable="GEMINI_API_KEY",
        requests_per_minute=15,  # as Google's free tier has it; staff raise it with a paid key
        tokens_per_day=1_000_000,
        takes_audio=True,
        priced_as="gemini/gemini-2.5-flash",
    ),
    StartingDeployment(
        name="gemini-pro",
        provider="gemini",
        upstream_model="gemini-2.5-pro",
        api_key_variable="GEMINI_API_KEY",
        takes_audio=True,
        priced_as="gemini/gemini-2.5-pro",
    ),
    StartingDeployment(
        name="openrouter-deepseek",
        provider="openrouter",
        upstream_model="deepseek/deepseek-chat-v3-0324:free",
        base_url=OPENROUTER,
        api_key_variable="OPENROUTER_API_KEY",
        takes_images=False,
    ),
    StartingDeployment(
        name="openrouter-wizardlm",
        provider="openrouter",
        upstream_model="microsoft/wizardlm-2-8x22b",
        base_url=OPENROUTER,
        api_key_variable="OPENROUTER_API_KEY",
        takes_tools=False,
        takes_images=False,
        takes_json_schemas=False,
    ),
    StartingDeployment(
        name="deepseek",
        provider="deepseek",
        upstream_model="deepseek-v4-flash",
        api_key_variable="DEEPSEEK_API_KEY",
        priced_as="deepseek/deepseek-v4-flash",
    ),
    StartingDeployment(
        name="scalix-engine",
        provider="openai",
        upstream_model="scalix-engine",
        base_url_variable="SCALIX_ENGINE_URL",
        api_key_variable="SCALIX_PRO_API_KEY",
    ),
    *(
        StartingDeployment(
            name=f"openai-{model}",
            provider="openai",
            upstream_model=model,
            api_key_variable="OPENAI_API_KEY",
            priced_as=model,
        )
        for model in ("gpt-4.1", "gpt-6.1-sol")
    ),
    *(
        StartingDeployment(
            name=f"anthropic-{model}",
            provider="anthropic",
            upstream_model=model,
            api_key_variable="ANTHROPIC_API_KEY",
            priced_as=model,
        )
        for model in ("claude-sonnet-5-5", "claude-opus-5-5")
    ),
    *(
        StartingDeployment(
            name=name,
            provider=provider,
            upstream_model=model,
            api_key_variable=variable,
            takes_tools=False,
            takes_images=False,
            takes_json_schemas=False,
            priced_as=model if provider == "openai" else f"{provider}/{model}",
        )
        for name, provider, model, variable in (
            ("gemini-embedding", "gemini", "gemini-embedding-001", "GEMINI_API_KEY"),
            ("openai-embedding-small", "openai", "text-embedding-3-small", "OPENAI_API_KEY"),
            ("openai-embedding-large", "openai", "text-embedding-3-large", "OPENAI_API_KEY"),
        )
    ),
    StartingDeployment(
        name="demo",
        provider="openai",
        upstream_model="scalix-smollm2",
        base_url_variable="DEMO_MODEL_URL",
        requests_at_once=4,  # it gives two answers at once; two more may wait there
        takes_tools=False,
        takes_images=False,
        context_window=4_096,
    ),
)

# One's own server first, then the free offers, then what costs the operator, then the demo.
_FREE_POOL: Final = {
    "upstream": 10,
    "gemini-flash": 11,
    "gemini-pro": 12,
    "openrouter-deepseek": 13,
    "openrouter-wizardlm": 14,
    "deepseek": 15,
    "demo": _LAST,
}
_BEST: Final = {  # before all of those
    "anthropic-claude-sonnet-5-5": 1,
    "openai-gpt-6.1-sol": 2,
    "scalix-engine": 3,
    "openai-gpt-4.1": 4,
}

MODELS: Final = (
    StartingModel(
        name="scalix-free",
        title="Scalix Free",
        description="The best free model that is available now.",
        served_by=_FREE_POOL,
        context_window=32_768,
        max_output_tokens=8_192,
    ),
    StartingModel(
        name="scalix-auto",
        title="Scalix Auto",
        description="The model that fits best, chosen for you.",
        served_by=_FREE_POOL,
        served_to_pro_by=_BEST,
        context_window=32_768,
        max_output_tokens=8_192,
    ),
    StartingModel(
        name="free-gemini-flash",
        title="Gemini Flash",
        description="Google's fast model: good at code, long context.",
        served_by={"gemini-flash": 1},
        sized_as="gemini/gemini-2.5-flash",
    ),
    StartingModel(
        name="free-gemini-pro",
        title="Gemini Pro",
        description="Google's larger model, for general purposes.",
        served_by={"gemini-pro": 1},
        sized_as="gemini/gemini-2.5-pro",
    ),
    StartingModel(
        name="free-deepseek",
        title="DeepSeek Chat",
        description="DeepSeek's chat model: good at reasoning.",
        served_by={"openrouter-deepseek": 1, "deepseek": 2},
        context_window=131_072,
        max_output_tokens=8_192,
    ),
    StartingModel(
        name="free-wizardlm",
        title="WizardLM 2",
        description="Microsoft's WizardLM 2, 8x22B.",
        served_by={"openrouter-wizardlm": 1},
        context_window=65_536,
        max_output_tokens=8_192,
    ),
    StartingModel(
        name="scalix-demo",
        title="Scalix Demo",
        description="A very small model on this machine. Fluent, and often wrong: a demo.",
        served_by={"demo": 1},
        context_window=4_096,
        max_output_tokens=2_048,
    ),
    StartingModel(
        name="scalix-engine",
        title="Scalix Engine",
        description="Scalix's own engine, with a context of a million tokens.",
        served_by={"scalix-engine": 1},
        tier=Tier.PRO,
        context_window=1_048_576,
        max_output_tokens=65_536,
        plan_micros=20_000_000,  # $0.02 per 1K tokens
    ),
    StartingModel(
        name="gpt-4",
        title="GPT-4",
        description="OpenAI retired the first GPT-4; GPT-4.1 answers in its place.",
        served_by={"openai-gpt-4.1": 1},
        tier=Tier.PRO,
        sized_as="gpt-4.1",
        plan_micros=30_000_000,  # $0.03 per 1K tokens
    ),
    StartingModel(
        name="gpt-6.1-sol",
        title="GPT-6.1 Sol",
        description="OpenAI's current general model.",
        served_by={"openai-gpt-6.1-sol": 1},
        tier=Tier.PRO,
        sized_as="gpt-6.1-sol",
        plan_micros=None,
    ),
    StartingModel(
        name="claude-3",
        title="Claude 3",
        description="Anthropic retired Claude 3; Claude Sonnet 5.5 answers in its place.",
        served_by={"anthropic-claude-sonnet-5-5": 1},
        tier=Tier.PRO,
        sized_as="claude-sonnet-5-5",
        plan_micros=None,
    ),
    StartingModel(
        name="claude-sonnet-5-5",
        title="Claude Sonnet 5.5",
        description="Anthropic's balanced model.",
        served_by={"anthropic-claude-sonnet-5-5": 1},
        tier=Tier.PRO,
        sized_as="claude-sonnet-5-5",
        plan_micros=None,
    ),
    StartingModel(
        name="claude-opus-5-5",
        title="Claude Opus 5.5",
        description="Anthropic's largest general model.",
        served_by={"anthropic-claude-opus-5-5": 1},
        tier=Tier.PRO,
        sized_as="claude-opus-5-5",
        plan_micros=None,
    ),
    StartingModel(
        name="free-gemini-embedding",
        title="Gemini Embedding",
        description="Google's embeddings: texts as vectors, in many languages.",
        kind=Kind.EMBEDDING,
        served_by={"gemini-embedding": 1},
        sized_as="gemini/gemini-embedding-001",
    ),
    *(
        StartingModel(
            name=f"text-embedding-3-{size}",
            title=f"Text Embedding 3 {size.capitalize()}",
            description=f"OpenAI's {size} model for embeddings.",
            kind=Kind.EMBEDDING,
            served_by={f"openai-embedding-{size}": 1},
            tier=Tier.PRO,
            sized_as=f"text-embedding-3-{size}",
            plan_micros=None,
        )
        for size in ("small", "large")
    ),
)
