"""Puts the starting catalogue into the tables: at every start, and it never undoes what staff did.

A row is created when no row of its name exists, and never changed.  A placement is created with
the model or the deployment that it belongs to, so one that staff removed stays removed.  A subject
that has any price keeps the ones it has.
"""

from dataclasses import dataclass, fields
from typing import Final

from django.db import connection, transaction

from billing.models import Price, Tier
from gateway.catalogue.price_file import ModelFigures, figures_of
from gateway.catalogue.starting_models import (
    DEPLOYMENTS,
    MODELS,
    StartingDeployment,
    StartingModel,
)
from gateway.models import Deployment, Placement, PublicModel

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('gateway.catalogue.seed'))"
_NOT_A_COLUMN: Final = "priced_as"

SEEDED_MODELS: Final = frozenset(model.name for model in MODELS)
SEEDED_DEPLOYMENTS: Final = frozenset(deployment.name for deployment in DEPLOYMENTS)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What one run created, by name; prices by what they are of."""

    models: list[str]
    deployments: list[str]
    placements: list[str]
    prices: list[str]


@transaction.atomic
def seed() -> Seeded:
    """Creates what is missing.  Two runs at once wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
    new_models = _create_models()
    new_deployments = _create_deployments()
    return Seeded(
        models=new_models,
        deployments=new_deployments,
        placements=_create_placements(new_models, new_deployments),
        prices=_create_prices(),
    )


def _create_models() -> list[str]:
    known = set(PublicModel.objects.values_list("name", flat=True))
    missing = [model for model in MODELS if model.name not in known]
    PublicModel.objects.bulk_create(_model_row(model) for model in missing)
    return [model.name for model in missing]


def _model_row(model: StartingModel) -> PublicModel:
    figures = figures_of(model.sized_as) if model.sized_as else None
    return PublicModel(
        name=model.name,
        title=model.title,
        description=model.description,
        kind=model.kind,
        tier=model.tier,
        context_window=figures.context_window if figures else model.context_window,
        max_output_tokens=figures.max_output_tokens if figures else model.max_output_tokens,
    )


def _create_deployments() -> list[str]:
    known = set(Deployment.objects.values_list("name", flat=True))
    missing = [deployment for deployment in DEPLOYMENTS if deployment.name not in known]
    Deployment.objects.bulk_create(_deployment_row(deployment) for deployment in missing)
    return [deployment.name for deployment in missing]


def _deployment_row(deployment: StartingDeployment) -> Deployment:
    columns = (field.name for field in fields(deployment) if field.name != _NOT_A_COLUMN)
    return Deployment(**{name: getattr(deployment, name) for name in columns})


def _create_placements(new_models: list[str], new_deployments: list[str]) -> list[str]:
    model_ids = dict(PublicModel.objects.values_list("name", "pk"))
    deployment_ids = dict(Deployment.objects.values_list("name", "pk"))
    wanted = [
        (model.name, deployment, priority, tier)
        for model in MODELS
        for places, tier in ((model.served_by, Tier.FREE), (model.served_to_pro_by, Tier.PRO))
        for deployment, priority in places.items()
        if model.name in new_models or deployment in new_deployments
    ]
    Placement.objects.bulk_create(
        Placement(
            model_id=model_ids[model],
            deployment_id=deployment_ids[deployment],
            priority=priority,
            tier=tier,
        )
        for model, deployment, priority, tier in wanted
    )
    return [f"{model} ← {deployment}" for model, deployment, *_ in wanted]


def _create_prices() -> list[str]:
    known = set(Price.objects.values_list("kind", "subject").distinct())
    missing = [price for price in _prices() if (price.kind, price.subject) not in known]
    Price.objects.bulk_create(missing)
    return [f"{price.kind} {price.subject}" for price in missing]


def _prices() -> list[Price]:
    """What the providers take, where litellm knows it, and what the plans charge."""
    costs: dict[str, ModelFigures] = {
        deployment.name: figures_of(deployment.priced_as)
        for deployment in DEPLOYMENTS
        if deployment.priced_as
    }
    provider_prices = [
        _price(Price.Kind.PROVIDER, name, cost.prompt_micros, cost.completion_micros)
        for name, cost in costs.items()
    ]
    return provider_prices + [_plan_price(model, costs) for model in MODELS]


def _plan_price(model: StartingModel, costs: dict[str, ModelFigures]) -> Price:
    if model.plan_micros is not None:
        return _price(Price.Kind.PLAN, model.name, model.plan_micros, model.plan_micros)
    cost = costs[min(model.served_by, key=model.served_by.__getitem__)]
    return _price(Price.Kind.PLAN, model.name, cost.prompt_micros, cost.completion_micros)


def _price(kind: Price.Kind, subject: str, prompt_micros: int, completion_micros: int) -> Price:
    return Price(
        kind=kind.value,
        subject=subject,
        prompt_micros=prompt_micros,
        completion_micros=completion_micros,
    )
