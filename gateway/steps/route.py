"""Step 3: from an admitted request to the deployments to try, in order."""

import random
from itertools import groupby

from gateway.catalogue.snapshot import Catalogue
from gateway.errors import ProvidersExhausted
from gateway.health.circuits import Circuits
from gateway.types import Reservation, Target


def route(catalogue: Catalogue, circuits: Circuits, reservation: Reservation) -> tuple[Target, ...]:
    """The model's usable deployments: by priority, and among equals drawn by weight.

    Those whose circuit is open come last: to ask them in vain is better than not to have asked.
    """
    row = catalogue.find(reservation.model.name)
    if row is None or not row.targets:  # switched off since it was admitted
        raise ProvidersExhausted(
            f"No provider serves {reservation.model.name} right now. Nothing was charged."
        )
    ordered: list[Target] = []
    for _, equals in groupby(row.targets, key=lambda target: target.priority):
        ordered += _by_weight(list(equals))
    return tuple(sorted(ordered, key=lambda target: circuits.is_open(target.deployment)))


def _by_weight(targets: list[Target]) -> list[Target]:
    """A random order in which each place goes to a target in proportion to its weight."""
    if len(targets) == 1:
        return targets
    # Source: Efraimidis and Spirakis, weighted random sampling with a reservoir (2006).
    return sorted(
        targets,
        key=lambda target: random.random() ** (1 / max(target.weight, 1)),  # noqa: S311
        reverse=True,
    )
