"""A LiteLLM proxy's configuration file, read: what it says of models, and what is not taken over.

Its `model_list` becomes public models and deployments; of `router_settings` the strategy and the
fallbacks count.  Keys and addresses are taken as the names of environment variables, written
`${NAME}` or `os.environ/NAME`: a secret that stands in the file itself is refused.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from gateway.types import Balancing, Kind

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}|os\.environ/(\w+)")
_LEAST_CONNECTIONS: Final = frozenset(
    {"least-busy", "usage-based-routing", "usage-based-routing-v2", "latency-based-routing"}
)
_BY_WEIGHT: Final = "simple-shuffle"
_TAKEN: Final = frozenset(
    {"model", "api_key", "api_base", "base_url", "rpm", "tpm", "weight", "order", "metadata"}
    | {"max_parallel_requests"}
)
# What people write where a server of their own wants a key and checks none.
_NO_KEYS: Final = frozenset({"", "none", "None", "EMPTY", "dummy", "anything", "not-needed"})
_SECTIONS: Final = frozenset({"model_list", "router_settings"})
_ROUTER: Final = frozenset({"routing_strategy", "fallbacks", "free_tier_limits"})


class ConfigError(ValueError):
    """The file can't be taken over; says where it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of `model_list`; None is what it leaves open."""

    model_name: str
    upstream: str  # litellm's name: provider and model
    base_url: str = ""
    base_url_variable: str = ""
    api_key_variable: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_at_once: int | None = None
    weight: int | None = None
    priority: int | None = None
    is_free: bool | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All that a file says and is taken over; `remarks` say what is not."""

    entries: tuple[Entry, ...]
    balancing: Balancing | None
    fallbacks: Mapping[str, tuple[str, ...]]
    free_limits: Mapping[str, int]
    remarks: list[str] = field(default_factory=list)


def read_config(text: str) -> Config:
    """The configuration in a YAML text; ConfigError."""
    try:
        whole = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"this is no YAML: {error}") from error
    whole = _mapping(whole, "the file")
    listed = whole.get("model_list")
    if not isinstance(listed, list) or not listed:
        raise ConfigError("model_list is missing, or no list")
    remarks = [f"{name} is not used" for name in whole if name not in _SECTIONS]
    entries = [_entry(item, f"model_list[{n}]", remarks) for n, item in enumerate(listed)]
    router = _mapping(whole.get("router_settings") or {}, "router_settings")
    remarks += [f"router_settings.{name} is not used" for name in router if name not in _ROUTER]
    return Config(
        entries=tuple(entries),
        balancing=_balancing(router.get("routing_strategy"), remarks),
        fallbacks=_fallbacks(router.get("fallbacks") or []),
        free_limits={
            str(name): _count(limit, f"router_settings.free_tier_limits.{name}") or 0
            for name, limit in _mapping(
                router.get("free_tier_limits") or {}, "router_settings.free_tier_limits"
            ).items()
        },
        remarks=remarks,
    )


def _entry(item: object, where: str, remarks: list[str]) -> Entry:
    fields = _mapping(item, where)
    name = _text(fields.get("model_name"), f"{where}.model_name")
    parameters = _mapping(fields.get("litellm_params"), f"{where}.litellm_params")
    upstream = _text(parameters.get("model"), f"{where}.litellm_params.model")
    if "*" in name or "*" in upstream:
        raise ConfigError(f"{where}: {name} is a pattern; name each model")
    info = _mapping(fields.get("model_info") or {}, f"{where}.model_info")
    metadata = _mapping(parameters.get("metadata") or info.get("metadata") or {}, where)
    remarks += [
        f"{where}.litellm_params.{key} is not used ({name})"
        for key in parameters
        if key not in _TAKEN
    ]
    address = str(parameters.get("api_base") or parameters.get("base_url") or "")
    address_variable = _variable_in(address)
    return Entry(
        model_name=name,
        upstream=upstream,
        base_url="" if address_variable else address,
        base_url_variable=address_variable,
        api_key_variable=_key_variable(parameters.get("api_key"), f"{where}.litellm_params"),
        requests_per_minute=_count(parameters.get("rpm"), f"{where}.litellm_params.rpm"),
        tokens_per_minute=_count(parameters.get("tpm"), f"{where}.litellm_params.tpm"),
        requests_at_once=_count(
            parameters.get("max_parallel_requests"), f"{where}.litellm_params.max_parallel_requests"
        ),
        weight=_count(parameters.get("weight"), f"{where}.litellm_params.weight"),
        priority=_count(
            metadata.get("priority", parameters.get("order")), f"{where}.metadata.priority"
        ),
        is_free=_flag(metadata.get("free_tier"), f"{where}.metadata.free_tier"),
        context_window=_count(info.get("max_input_tokens"), f"{where}.model_info.max_input_tokens"),
        max_output_tokens=_count(
            info.get("max_output_tokens"), f"{where}.model_info.max_output_tokens"
        ),
        kind=_kind(info.get("mode"), f"{where}.model_info.mode"),
    )


def _kind(mode: object, where: str) -> Kind | None:
    if mode is None:
        return None
    if mode == "chat":
        return Kind.CHAT
    if mode == "embedding":
        return Kind.EMBEDDING
    raise ConfigError(f"{where} is {mode}; models for chat and for embedding are taken over")


def _key_variable(value: object, where: str) -> str:
    if value is None or value in _NO_KEYS:
        return ""
    if name := _variable_in(str(value)):
        return name
    raise ConfigError(
        f"{where}.api_key is a key itself: put it into the environment, and its variable's name "
        "here, as ${NAME}. A secret is never stored"
    )


def _variable_in(value: str) -> str:
    """The name of the variable that a value stands for, or nothing."""
    match = _VARIABLE.fullmatch(value)
    return (match[1] or match[2]) if match else ""


def _balancing(strategy: object, remarks: list[str]) -> Balancing | None:
    if strategy is None:
        return None
    if strategy in _LEAST_CONNECTIONS:
        return Balancing.LEAST_CONNECTIONS
    if strategy != _BY_WEIGHT:
        remarks.append(f"router_settings.routing_strategy {strategy!r} is not known: by weight")
    return Balancing.WEIGHT


def _fallbacks(listed: object) -> dict[str, tuple[str, ...]]:
    where = "router_settings.fallbacks"
    if not isinstance(listed, list):
        raise ConfigError(f"{where} is no list")
    found: dict[str, tuple[str, ...]] = {}
    for item in listed:
        for name, others in _mapping(item, where).items():
            if not isinstance(others, list):
                raise ConfigError(f"{where}: those of {name} are no list")
            found[str(name)] = tuple(map(str, _each(others)))
    return found


def _each(values: Iterable[Any]) -> Iterable[Any]:
    return dict.fromkeys(values)


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is missing, or no mapping")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where} is missing, or no text")
    return value


def _count(value: object, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{where} is no number of at least 0")
    return value


def _flag(value: object, where: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{where} is neither true nor false")
    return value
