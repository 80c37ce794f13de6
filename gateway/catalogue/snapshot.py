"""The catalogue in memory: what the request path reads, refreshed from the tables."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.postgres import ReadPool
from billing.gates import may_use
from gateway.catalogue.capabilities import Capability
from gateway.providers.ways import ONE_ANSWER
from gateway.sizing.families import Family, family_of
from gateway.types import CapacityLimits, ModelEntry, Target

_PROBE_FAILED_PENALTY: Final = 10_000  # in priorities: behind every deployment that answers

_LOWERED_PENALTY: Final = 1_000  # behind every deployment that answers well

_ENTRY: Final = len(dataclasses.fields(ModelEntry))
_LIMITS: Final = len(CapacityLimits._fields)
# As the query's columns say it.
_STATED: Final = tuple(one for one in Capability if one is not Capability.CHOICES)
_ONE_ANSWER: Final = frozenset({Capability.CHOICES})
_UNLIMITED: Final = (None,) * _LIMITS

HEALTH: Final = """coalesce(probe.succeeded, true),
       deployment.quality_routing AND coalesce(standing.lowered, false)"""
"""Of a query's `deployment`: whether it answers probes, and whether it has lost its place."""

HEALTH_JOINS: Final = """
  LEFT JOIN gateway_qualitystanding standing ON standing.deployment_id = deployment.id
  LEFT JOIN LATERAL (
        SELECT succeeded FROM gateway_proberesult
         WHERE deployment_id = deployment.id AND probed_at > now() - interval '3 minutes'
         ORDER BY probed_at DESC LIMIT 1) probe ON true"""
"""What HEALTH is read from."""

_QUERY: Final = f"""
SELECT model.name, model.title, model.description, model.tier, model.context_window,
       model.max_output_tokens, extract(epoch FROM model.created_at)::bigint, model.balancing,
       model.cache_seconds, model.kind,
       placement.priority, placement.weight, deployment.name, deployment.provider,
       deployment.upstream_model, deployment.upstream_model_variable, deployment.base_url,
       deployment.base_url_variable, deployment.api_key_variable, deployment.api_key_optional,
       {HEALTH},
       deployment.requests_per_minute, deployment.tokens_per_minute,
       deployment.requests_per_day, deployment.tokens_per_day, deployment.requests_at_once,
       placement.tier, deployment.takes_tools, deployment.takes_images, deployment.takes_audio,
       deployment.takes_json_schemas, deployment.context_window
  FROM gateway_publicmodel model
  LEFT JOIN gateway_placement placement ON placement.model_id = model.id
  LEFT JOIN gateway_deployment deployment
         ON deployment.id = placement.deployment_id AND deployment.enabled
{HEALTH_JOINS}
 WHERE model.enabled
 ORDER BY model.name, placement.priority, deployment.name
"""  # noqa: S608  (our own text)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A public model and the deployments that can serve it now, gladdest first."""

    entry: ModelEntry
    targets: tuple[Target, ...]
    families: tuple[Family, ...]  # of the targets' models, each once


class Catalogue:
    """Every enabled public model.  `variables` resolves what rows name: addresses, keys, models."""

    def __init__(self, pool: ReadPool, variables: Mapping[str, str]) -> None:
        self._pool = pool
        self._variables = variables
        self._rows: list[tuple[Any, ...]] = []
        self._models: dict[str, ModelRow] = {}

    async def refresh(self) -> None:
        """Reads the tables.  Raises PostgresUnavailable."""
        rows = await self._pool.fetch(_QUERY)
        if rows == self._rows:  # as it nearly always is
            return
        models: dict[str, tuple[ModelEntry, list[Target]]] = {}
        for row in rows:
            entry = ModelEntry(*row[:_ENTRY])
            _, targets = models.setdefault(entry.name, (entry, []))
            if target := self._target(entry, row[_ENTRY:]):
                targets.append(target)
        self._models = {
            name: _model_row(entry, sorted(targets, key=lambda one: one.priority))
            for name, (entry, targets) in models.items()
        }
        self._rows = rows

    @property
    def loaded(self) -> bool:
        """Whether any model is known."""
        return bool(self._models)

    def find(self, name: str) -> ModelRow | None:
        """The model of that name."""
        return self._models.get(name)

    def usable(self) -> list[ModelRow]:
        """The models that a deployment can serve now, by name."""
        return [row for row in self._models.values() if row.targets]

    def available_to(self, tier: str, kind: str | None = None) -> list[ModelEntry]:
        """What a caller on this tier may use now, for requests of this kind or of any, by name."""
        entries = [row.entry for row in self.usable() if may_use(tier, row.entry.tier)]
        return [one for one in entries if kind in (None, one.kind)]

    def nearest(self, name: str, tier: str, kind: str | None = None) -> list[str]:
        """Up to three names that a typing slip may have meant."""
        names = [entry.name for entry in self.available_to(tier, kind)]
        return difflib.get_close_matches(name, names, n=3, cutoff=0.5)

    def deployments_of(self, models: Iterable[str]) -> frozenset[str]:
        """The deployments that serve any of these models, by name; unknown models have none."""
        rows = (self._models.get(name) for name in models)
        return frozenset(one.deployment for row in rows if row for one in row.targets)

    def _target(self, served: ModelEntry, row: tuple[Any, ...]) -> Target | None:
        """The deployment as it can be called; None where a variable that it needs is not set."""
        (priority, weight, name, provider, model, model_variable, base_url, base_url_variable,
         key_variable, key_optional, answers, lowered, *others) = row  # fmt: skip
        limits, (tier, *takes, context_window) = tuple(others[:_LIMITS]), others[_LIMITS:]
        if name is None:
            return None
        variables = self._variables
        if base_url_variable and not (base_url := variables.get(base_url_variable, "")):
            return None
        if key_variable and key_variable not in variables and not key_optional:
            return None
        if model_variable and not (model := variables.get(model_variable, "")):
            return None
        return Target(
            deployment=name,
            provider=provider,
            upstream_model=model,
            base_url=base_url or None,
            api_key=variables.get(key_variable) if key_variable else None,
            priority=priority
            + (0 if answers else _PROBE_FAILED_PENALTY)
            + (_LOWERED_PENALTY if lowered else 0),
            weight=weight,
            capacity=None if limits == _UNLIMITED else CapacityLimits(*limits),
            model=served.name,
            kind=served.kind,
            tier=tier,
            lacks=_lacks(provider, takes),
            context_window=context_window,
        )


def _lacks(provider: str, takes: Iterable[bool]) -> frozenset[Capability]:
    """By what staff say that it takes, and what its provider is known for."""
    lacking = {one for one, is_taken in zip(_STATED, takes, strict=True) if not is_taken}
    return frozenset(lacking | _ONE_ANSWER if provider in ONE_ANSWER else lacking)


def _model_row(entry: ModelEntry, targets: list[Target]) -> ModelRow:
    families = dict.fromkeys(family_of(one.provider, one.upstream_model) for one in targets)
    return ModelRow(entry, tuple(targets), tuple(families))
