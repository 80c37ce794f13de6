"""litellm, as far as we use it: provider names, addresses, parameter mapping, translation.

Importing litellm takes four seconds and 170 MB, so it happens on first use (`warm`), in processes
that call providers.  Never its proxy, its retries, its callbacks or its accounting.
"""

import asyncio
import copy
import functools
import logging
import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import orjson

from gateway.errors import GatewayError, InvalidRequest
from gateway.providers import failures
from gateway.types import ChatRequest, Target

logger = logging.getLogger(__name__)

_ADDRESS_PARAMETERS: Final = {"stream": False}
_OPENAI: Final = "https://api.openai.com/v1"

SIGNED: Final = "__thought__"
"""Between a tool call's id and its thought's signature, as litellm reads them for Gemini.

Gemini wants the signature back with the call, and the id is all that clients hand on.
"""


@functools.cache
def library() -> ModuleType:
    """The litellm module: quiet, offline, and with everything of its own switched off."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches the file at import
    # It connects by aiohttp, whose connections are checked (connections.py), and to the provider:
    # what a proxy connects to can't be checked.
    os.environ |= {"DISABLE_AIOHTTP_TRANSPORT": "False", "LITELLM_HTTP2": "False"}
    os.environ |= {"DISABLE_AIOHTTP_TRUST_ENV": "True", "AIOHTTP_TRUST_ENV": "False"}
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = True  # a parameter that a fallback does not know must not fail it
    module: ModuleType = litellm
    return module


@dataclass(frozen=True, slots=True)
class Wire:
    """How one deployment is called over the OpenAI wire."""

    config: Any  # litellm's transformation class for the provider
    url: str
    headers: dict[str, str]
    model: str


@functools.lru_cache(maxsize=1024)
def wire_of(target: Target) -> Wire | None:
    """The target's wire; None if its provider does not speak OpenAI's."""
    litellm = library()
    from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    model, provider, _, base = litellm.get_llm_provider(
        model=target.upstream_model,
        custom_llm_provider=target.provider,
        api_base=target.base_url,
        api_key=target.api_key,
    )
    config = ProviderConfigManager.get_provider_chat_config(
        model=model, provider=LlmProviders(provider)
    )
    if not isinstance(config, OpenAIGPTConfig):
        return None
    address = target.base_url or base or _own_address(config, provider)
    if address is None:
        return None
    headers = config.validate_environment(
        headers={},
        model=model,
        messages=[],
        optional_params={},
        litellm_params=_ADDRESS_PARAMETERS,
        api_key=target.api_key,
        api_base=address or None,
    )
    if target.api_key is None:  # or litellm sends what it finds in the environment
        headers.pop("Authorization", None)
    url = config.get_complete_url(
        api_base=address or None,
        api_key=target.api_key,
        model=model,
        optional_params={},
        litellm_params=_ADDRESS_PARAMETERS,
        stream=False,
    )
    if not url.endswith("/chat/completions"):  # Cohere's, whose class is derived from OpenAI's
        return None
    return Wire(config, url, headers, model)


def _own_address(config: Any, provider: str) -> str | None:
    """Where the provider's class goes by itself, empty if it knows; None if it doesn't know.

    Then it would take OpenAI's, and key and prompt would go to a stranger; `acompletion` knows.
    """
    from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig

    if type(config).get_complete_url is not OpenAIGPTConfig.get_complete_url:
        return ""
    return _OPENAI if provider == "openai" else None


def openai_body(wire: Wire, request: ChatRequest) -> bytes:
    """The request in the provider's dialect of the OpenAI wire.

    InvalidRequest for a parameter that the provider does not know, ProviderUnavailable where
    litellm can make nothing of the request for this deployment.
    """
    asked = parameters_of(request)
    try:
        mapped = wire.config.map_openai_params(
            non_default_params=asked, optional_params={}, model=wire.model, drop_params=True
        )
        body = wire.config.transform_request(
            model=wire.model,
            messages=messages_of(request, wire.config),
            optional_params=mapped,
            litellm_params={},
            headers={},
        )
        return orjson.dumps(body)
    except Exception as error:  # its classes raise what they happen to meet
        raise failure_to_translate(error, wire.url) from error


def failure_to_translate(error: Exception, where: str) -> GatewayError:
    """What it comes to that litellm can't put a request into a provider's form."""
    if isinstance(error, library().UnsupportedParamsError):
        return InvalidRequest(str(error.message), code="unsupported_parameter")
    logger.warning("litellm can't translate for %s: %s", where, type(error).__name__)
    return failures.untranslatable()


def parameters_of(request: ChatRequest) -> dict[str, Any]:
    """Everything but model and messages, in OpenAI's names.  Usage is always asked for."""
    parameters = _copy(request.parameters or {})
    if request.max_tokens is not None:
        parameters["max_tokens"] = request.max_tokens
    if request.choices != 1:
        parameters["n"] = request.choices
    if request.stream:
        parameters["stream"] = True
        parameters["stream_options"] = {"include_usage": True}
    return parameters


def messages_of(
    request: ChatRequest, config: Any = None, *, signed: bool = False
) -> list[dict[str, Any]]:
    """The messages, in copies: litellm changes what it is given, and another try needs them all.

    Developers speak as the system where the provider's `config` knows no developers.  Tool calls'
    ids lose the signatures of Gemini's thoughts, which mean nothing to others, unless `signed`.
    """
    messages = [_copy(message) for message in request.messages]
    if not signed:
        for message in messages:
            if "tool_call_id" in message:
                message["tool_call_id"] = _unsigned(message["tool_call_id"])
            for call in message.get("tool_calls") or ():
                call["id"] = _unsigned(call["id"])
    if config and any(message["role"] == "developer" for message in messages):
        messages = config.translate_developer_role_to_system_role(messages=messages)
    return messages


def _unsigned(call_id: str) -> str:
    return call_id.partition(SIGNED)[0]


def _copy(fields: dict[str, Any]) -> dict[str, Any]:
    """Deep where there is any depth: most messages are flat, and need not cost more."""
    return {
        name: copy.deepcopy(value) if isinstance(value, dict | list) else value
        for name, value in fields.items()
    }


async def warm() -> None:
    """Imports litellm now, in a thread, rather than in the first request."""
    await asyncio.to_thread(library)
