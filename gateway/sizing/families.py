"""Families of models that count alike: what a deployment's model takes more than cl100k counts.

What each adds to text is measured: no ordinary text of `python -m bench.tokens` takes more.
docs/token-counts.md has the figures.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from gateway.sizing.images import Fixed, GeminiTiles, ImageRule, OpenAITiles, Patches


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What its models take of a prompt, at most, next to what cl100k counts."""

    name: str
    factor: float  # tokens for each of cl100k's, in ordinary texts
    each_digit: bool = False  # whether each digit is a token, of which cl100k makes one of three
    each_capital: float = 0.0  # tokens that each A to Z adds: NAMES_LIKE_THIS and LikeThis in code
    around: int = 2  # tokens of its chat template for each message, beyond OpenAI's three
    extra: int = 40  # what opens a prompt: a system prompt of the template's own, a date
    with_tools: int = 200  # the instructions that a template adds where there are tools
    image: ImageRule
    sound: int = 32  # tokens for a second of it


OPENAI: Final = Family(
    name="openai",
    factor=1.1,
    around=0,
    extra=5,
    with_tools=20,
    sound=10,
    # The largest that is known of a model that has no line of its own below.
    image=Patches(edge=32, most=10_000, times=1.2),
)
CLAUDE: Final = Family(
    name="claude to 4.6",
    factor=1.45,
    each_capital=0.4,
    with_tools=530,  # Claude 3 Opus, the largest that was found published
    image=Patches(edge=28, most=1_600, longest=1_568),
)
CLAUDE_4_7: Final = replace(
    CLAUDE,
    name="claude from 4.7",
    factor=1.9,
    each_capital=1.0,
    image=Patches(edge=28, most=4_784, longest=2_576),
)
GEMINI: Final = Family(
    name="gemini", factor=1.45, each_digit=True, each_capital=0.4, image=GeminiTiles()
)
LLAMA: Final = Family(name="llama", factor=1.0, image=Fixed(6_404))
QWEN: Final = Family(name="qwen", factor=1.0, each_digit=True, image=Patches(edge=28, most=16_384))
KIMI: Final = Family(name="kimi", factor=1.2, image=Patches(edge=28, most=16_384))
DEEPSEEK: Final = Family(name="deepseek", factor=1.25, each_capital=0.2, image=Fixed(2_101))
MISTRAL: Final = Family(
    name="mistral", factor=1.2, each_digit=True, each_capital=0.2, image=Fixed(4_160), sound=13
)
SENTENCEPIECE: Final = Family(
    name="sentencepiece", factor=1.6, each_digit=True, each_capital=0.2, image=Fixed(4_160)
)
SMOLLM: Final = Family(name="smollm", factor=2.25, each_digit=True, image=Fixed(4_160))
# Whatever it is, its tokenizer is hardly finer than the finest here.
UNKNOWN: Final = Family(
    name="unknown",
    factor=max(SMOLLM.factor, CLAUDE_4_7.factor),
    each_digit=True,
    each_capital=CLAUDE_4_7.each_capital,
    with_tools=CLAUDE.with_tools,
    image=Patches(edge=28, most=4_784),
)

MEASURED: Final = (
    OPENAI, CLAUDE, CLAUDE_4_7, GEMINI, LLAMA, QWEN, KIMI, DEEPSEEK, MISTRAL,
    SENTENCEPIECE, SMOLLM,
)  # fmt: skip


def _openai(image: ImageRule) -> Family:
    return replace(OPENAI, image=image)


_PATCHES = 1_536  # the most that OpenAI's small models take of an image

# The first pattern that is found in the model's name decides.
_NAMES: Final = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        ("smollm", SMOLLM),
        ("distill-llama", LLAMA),
        ("distill-qwen", QWEN),
        ("gpt-oss", replace(OPENAI, extra=100, with_tools=200)),  # the template's system message
        ("gpt-4o-mini", _openai(OpenAITiles(2_833, 5_667))),
        (r"gpt-4\.1-mini|gpt-5-mini", _openai(Patches(32, _PATCHES, times=1.62))),
        (r"gpt-4\.1-nano|gpt-5-nano", _openai(Patches(32, _PATCHES, times=2.46))),
        ("o4-mini", _openai(Patches(32, _PATCHES, times=1.72))),
        (r"gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-|chatgpt-4o", _openai(OpenAITiles(85, 170))),
        (r"gpt-5(\.1)?(-chat|-codex|-pro|-\d|$)", _openai(OpenAITiles(70, 140))),
        ("(^|/)o[13](-|$)", _openai(OpenAITiles(75, 150))),
        (r"gpt-\d|chatgpt|(^|/)o\d(-|$)", OPENAI),
        ("text-embedding-(3|ada)", replace(OPENAI, factor=1.0)),  # they count by cl100k itself
        ("claude-3", CLAUDE),
        (r"claude-[a-z]+-4([-.][0-6])?([-@]\d{8})?(?![\d.]|-\d)", CLAUDE),
        ("claude", CLAUDE_4_7),
        ("gemini-[3-9]", replace(GEMINI, image=Fixed(1_120))),
        ("gemini|gemma", GEMINI),
        ("llama-?2|codellama|tinyllama|vicuna", SENTENCEPIECE),
        ("mixtral|wizardlm|zephyr|mistral-(7b|large|tiny)|codestral-mamba", SENTENCEPIECE),
        ("llama", LLAMA),
        ("qwen|qwq|qvq|glm", QWEN),
        ("kimi|moonshot", KIMI),
        ("deepseek", DEEPSEEK),
        ("nemo|ministral|mistral|pixtral|devstral|magistral|voxtral|codestral", MISTRAL),
    )
)
_PROVIDERS: Final = {
    "anthropic": CLAUDE_4_7,
    "gemini": GEMINI,
    "deepseek": DEEPSEEK,
    "mistral": SENTENCEPIECE,
    "moonshot": KIMI,
    "dashscope": QWEN,
    "zai": QWEN,
}


def family_of(provider: str, upstream_model: str) -> Family:
    """The family of a deployment's model: by the model's name, else by its provider.

    Any server may call itself openai, so that provider says nothing of a name that isn't known.
    """
    name = upstream_model.lower()
    for pattern, family in _NAMES:
        if pattern.search(name):
            return family
    return _PROVIDERS.get(provider, UNKNOWN)
