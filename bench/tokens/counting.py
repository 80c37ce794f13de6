"""The real tokenizers, each with the family whose bound it is held against.

    python -m bench.tokens.counting < texts.json

The child process of `bench.tokens`, with its tokenizers on PYTHONPATH: reads a list of texts, and
writes `{tokenizer: {"family": name, "counts": [...]}}`.
"""

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import tiktoken
from tokenizers import Tokenizer

from bench.tokens.gguf import tokenizer_in
from gateway.sizing import text as cl100k
from scalix.embedded.demo_model import installed_model

Count = Callable[[str], int]
Load = Callable[[], Count]

_MODELS: Final = Path(__file__).resolve().parents[2] / "var" / "models"
_SPLINTR: Final = {
    "Gemma 2": ("gemini", "gemma2"),
    "Gemma 3": ("gemini", "gemma3"),
    "Gemma 4": ("gemini", "gemma4"),
    "Llama 3": ("llama", "llama3"),
    "Qwen 3": ("qwen", "qwen3"),
    "GLM 4": ("qwen", "glm4"),
    "Kimi K2": ("kimi", "kimi_k2"),
    "Kimi K3": ("kimi", "kimi_k3"),
    "DeepSeek V3": ("deepseek", "deepseek_v3"),
    "Mistral Tekken": ("mistral", "mistral_v3"),
    "Mixtral": ("sentencepiece", "mistral_v1"),
    "Llama 2": ("sentencepiece", "llama2"),
}


def _cl100k() -> Count:
    return cl100k.count_text


def _o200k() -> Count:
    cl100k.warm_tokenizer()  # which tells tiktoken where the files lie
    encoding = tiktoken.get_encoding("o200k_base")
    return lambda text: len(encoding.encode_ordinary(text))


def _claude_2() -> Count:
    tokenizer = Tokenizer.from_file(str(cl100k.data_folder() / "anthropic_tokenizer.json"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _smollm() -> Count:
    return tokenizer_in(installed_model([_MODELS]))


def _splintr(vocabulary: str) -> Count:
    splintr: Any = importlib.import_module("splintr")
    tokenizer = splintr.Tokenizer.from_pretrained(vocabulary)
    return lambda text: len(tokenizer.encode_ordinary(text))


def _ctok(version: str, around: int) -> Count:
    ctok: Any = importlib.import_module("ctok")
    return lambda text: ctok.token_count(text, version) - around


# Those that the product's own environment has: the family of each, and what loads it.
AT_HAND: Final[dict[str, tuple[str, Load]]] = {
    "cl100k": ("openai", _cl100k),
    "o200k": ("openai", _o200k),
    # It is retired: what is neither Claude 3 nor 4 by its name counts as the newest.
    "Claude 2": ("claude from 4.7", _claude_2),
    "SmolLM2": ("smollm", _smollm),
}
# Those of requirements/tokenizers.txt.
INSTALLED: Final[dict[str, tuple[str, Load]]] = {
    name: (family, partial(_splintr, vocabulary)) for name, (family, vocabulary) in _SPLINTR.items()
} | {
    # The last figure is what its counts have for the message around the text.
    "Claude 3 to 4.6": ("claude to 4.6", partial(_ctok, "3.0", 7)),
    "Claude from 4.7": ("claude from 4.7", partial(_ctok, "4.8", 6)),
}


def main() -> None:
    """Reads, counts and writes."""
    texts = json.load(sys.stdin)
    json.dump(
        {
            name: {"family": family, "counts": list(map(load(), texts))}
            for name, (family, load) in (AT_HAND | INSTALLED).items()
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
