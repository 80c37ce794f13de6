"""Takes a LiteLLM proxy's configuration into the catalogue.

All of it or nothing.  What the file states wins over what is there; what it does not mention stays
as it is, and nothing is deleted.  A second run changes nothing.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import Plan, Tier
from gateway.catalogue.litellm_config import Config, ConfigError, Entry
from gateway.catalogue.price_file import ModelFigures, figures_of
from gateway.catalogue.starting_models import OPENROUTER
from gateway.models import Deployment, Placement, PublicModel
from gateway.providers.naming import UnknownProvider, provider_and_model
from gateway.providers.reachability import Reachability
from gateway.types import Kind

_POOLS: Final = ("scalix-free", "scalix-auto")
_POOL_FIRST: Final = 10  # of the free pool's priorities, as the catalogue is seeded
_USUAL_PRIORITY: Final = 1
_FALLBACK_STEP: Final = 100  # a fallback's deployments come after all of the model's own
_KINDS: Final = {PublicModel: "model", Deployment: "deployment", Placement: "placement"}
_WINDOW: Final = ModelFigures(32_768, 8_192, 0, 0)  # where nobody knows better


_Row = TypeVar("_Row", PublicModel, Deployment, Placement)


@dataclass(slots=True)
class Changes:
    """What a run did, by rows: `created` and `changed` say what."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    remarks: list[str] = field(default_factory=list)


def sync(config: Config, *, dry_run: bool = False) -> Changes:
    """Brings the tables to what the file says; ConfigError, and then nothing is written."""
    run = _Run()
    run.done.remarks += config.remarks
    with transaction.atomic():
        run.entries(config)
        run.fallbacks(config)
        run.compare_limits(config)
        transaction.set_rollback(dry_run)
    return run.done


class _Run:
    """One run, and what it did so far."""

    def __init__(self) -> None:
        self.done = Changes()

    def entries(self, config: Config) -> None:
        """Each entry's public model, its deployment, and their placement."""
        for entry in config.entries:
            try:
                model = self._model(entry, config.balancing)
                deployment = self._deployment(entry)
            except (ValidationError, UnknownProvider) as error:
                said = "; ".join(error.messages) if hasattr(error, "messages") else str(error)
                raise ConfigError(f"{entry.model_name}: {said}") from error
            self._place(model, deployment, entry.priority, entry.weight)
            if entry.is_free and entry.kind is not Kind.EMBEDDING:
                self._into_pools(deployment, entry)

    def fallbacks(self, config: Config) -> None:
        """After a model's own deployments come those of the models that it falls back on."""
        for name, others in config.fallbacks.items():
            model = _named(name)
            for step, other in enumerate(others, start=1):
                for placement in _named(other).placements.select_related("deployment"):
                    if not model.placements.filter(deployment=placement.deployment).exists():
                        priority = step * _FALLBACK_STEP + placement.priority
                        self._place(model, placement.deployment, priority, placement.weight)

    def compare_limits(self, config: Config) -> None:
        """Remarks on limits of the free plan that differ: plans are staff's, and not changed."""
        plan = Plan.objects.filter(tier=Tier.FREE).first()
        for name, limit in config.free_limits.items():
            ours = getattr(plan, name, None)
            if ours != limit:
                self.done.remarks.append(
                    f"free_tier_limits.{name} is {limit}; the free plan has {ours}. Plans are "
                    "edited in the admin"
                )

    def _model(self, entry: Entry, balancing: str | None) -> PublicModel:
        figures = _figures(entry.upstream)
        stated = _stated(
            context_window=entry.context_window,
            max_output_tokens=entry.max_output_tokens,
            balancing=balancing,
            kind=entry.kind,
            tier=None if entry.is_free is None else _tier(entry.is_free),
        )
        model = PublicModel.objects.filter(name=entry.model_name).first()
        if model is not None:
            self._change(model, stated)
            return model
        if entry.is_free is None:
            self.done.remarks.append(
                f"{entry.model_name} does not say free_tier: it is for Pro until you change it"
            )
        usual = {
            "title": entry.model_name,
            "tier": _tier(entry.is_free or False),
            "context_window": figures.context_window,
            "max_output_tokens": figures.max_output_tokens,
        }
        return self._create(PublicModel(name=entry.model_name, **usual | stated))

    def _deployment(self, entry: Entry) -> Deployment:
        provider, upstream_model = provider_and_model(entry.upstream)
        base_url = entry.base_url
        if provider == "openrouter" and not base_url and not entry.base_url_variable:
            base_url = OPENROUTER
        same = {
            "provider": provider,
            "upstream_model": upstream_model,
            "base_url": base_url,
            "base_url_variable": entry.base_url_variable,
            "api_key_variable": entry.api_key_variable,
        }
        stated = _stated(
            requests_per_minute=entry.requests_per_minute,
            tokens_per_minute=entry.tokens_per_minute,
            requests_at_once=entry.requests_at_once,
        )
        if deployment := Deployment.objects.filter(**same).first():
            self._change(deployment, stated)
            return deployment
        if base_url and (objection := Reachability.in_force().objection(base_url)):
            raise ConfigError(f"{entry.model_name}: {objection}")
        name = _free_name(f"{provider}-{upstream_model}")
        return self._create(Deployment(name=name, **same | stated))

    def _into_pools(self, deployment: Deployment, entry: Entry) -> None:
        for pool in PublicModel.objects.filter(name__in=_POOLS):
            if not pool.placements.filter(deployment=deployment).exists():
                priority = _POOL_FIRST + (entry.priority or _USUAL_PRIORITY)
                self._place(pool, deployment, priority, entry.weight)

    def _place(
        self, model: PublicModel, deployment: Deployment, priority: int | None, weight: int | None
    ) -> None:
        stated = _stated(priority=priority, weight=weight)
        placement = Placement.objects.filter(model=model, deployment=deployment).first()
        if placement is not None:
            self._change(placement, stated)
        else:
            usual = {"priority": _USUAL_PRIORITY}
            self._create(Placement(model=model, deployment=deployment, **usual | stated))

    def _create(self, row: _Row) -> _Row:
        row.full_clean()
        row.save(force_insert=True)
        self.done.created.append(f"{_KINDS[type(row)]} {row}")
        return row

    def _change(self, row: _Row, stated: dict[str, Any]) -> None:
        new = {name: value for name, value in stated.items() if getattr(row, name) != value}
        if not new:
            self.done.unchanged += 1
            return
        old = {name: getattr(row, name) for name in new}
        for name, value in new.items():
            setattr(row, name, value)
        row.full_clean()
        row.save(update_fields=list(new))
        said = ", ".join(f"{name} {old[name]} → {value}" for name, value in new.items())
        self.done.changed.append(f"{_KINDS[type(row)]} {row}: {said}")


def _named(name: str) -> PublicModel:
    model = PublicModel.objects.filter(name=name).first()
    if model is None:
        raise ConfigError(f"router_settings.fallbacks: there is no model {name}")
    return model


def _stated(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _tier(is_free: bool) -> str:
    return (Tier.FREE if is_free else Tier.PRO).value


def _figures(upstream: str) -> ModelFigures:
    try:
        return figures_of(upstream)
    except KeyError:
        return _WINDOW


def _free_name(wanted: str) -> str:
    """A deployment's name, out of what its provider calls it."""
    base = re.sub(r"[^A-Za-z0-9._:-]+", "-", wanted)[:90].strip("-")
    name, number = base, 1
    while Deployment.objects.filter(name=name).exists():
        number += 1
        name = f"{base}-{number}"
    return name
