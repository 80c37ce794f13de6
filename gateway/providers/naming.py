"""litellm's model names, as its users write them: `gemini/gemini-2.5-flash`, `gpt-4`."""

from contextlib import redirect_stdout
from io import StringIO
from typing import Final

from gateway.providers.translation import library

# Which litellm's own proxy knows under other names, or people write for "any such address".
_OPENAI_COMPATIBLE: Final = frozenset({"openai-compatible", "openai_compatible", "openai_like"})


class UnknownProvider(ValueError):
    """A model name whose provider litellm does not know."""


def provider_and_model(name: str) -> tuple[str, str]:
    """The provider's name and the model's name there; UnknownProvider."""
    prefix, _, rest = name.partition("/")
    if prefix in _OPENAI_COMPATIBLE and rest:
        return "openai", rest
    litellm = library()
    try:
        with redirect_stdout(StringIO()):  # it prints an advertisement for its list of providers
            model, provider, *_ = litellm.get_llm_provider(model=name)
    except litellm.BadRequestError as error:
        raise UnknownProvider(f"litellm knows no provider for the model {name!r}") from error
    return provider, model
