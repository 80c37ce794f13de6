"""Step 3: from an admitted request to the deployments to try, in order.

Left out are those that the caller's plan is not sent to, that lack what the request needs, and
whose model the caller avoids.  The others are ordered by what the caller prefers, by priority, and
among equals by weight or by how much they have to do.  Those that fail, or whose providers said to
wait, come last: to ask them in vain is better than not to have asked.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

from billing.gates import may_use
from gateway.catalogue.capabilities import FIELD_OF, needs_of
from gateway.catalogue.snapshot import Catalogue, ModelRow
from gateway.errors import InvalidRequest, ProvidersExhausted
from gateway.health.circuits import Circuits
from gateway.health.grudges import Grudges
from gateway.health.rests import Rests
from gateway.types import Balancing, Reservation, Target


@dataclass(frozen=True, slots=True)
class Router:
    """Orders deployments: by the catalogue, and by what is known of each of them."""

    catalogue: Catalogue
    circuits: Circuits
    rests: Rests
    grudges: Grudges
    in_flight: Mapping[str, int]
    """Requests that run at a deployment now."""

    def route(self, reservation: Reservation) -> tuple[Target, ...]:
        """The deployments to try; InvalidRequest or ProvidersExhausted where there is none."""
        able: dict[str, Target] = {}
        objections = list[InvalidRequest]()
        for name in (reservation.request.model, *reservation.request.fallbacks):
            try:
                targets = self._of_model(name, reservation)
            except InvalidRequest as objection:
                objections.append(objection)
            else:
                for target in targets:
                    able.setdefault(target.deployment, target)
        if not able:
            raise objections[0] if objections else _switched_off(reservation)
        account_id, stream = reservation.caller.account_id, reservation.request.stream
        return tuple(
            sorted(
                able.values(),
                key=lambda one: (
                    self.circuits.is_open(one.deployment, stream=stream)
                    or self.rests.holds(one.deployment),
                    self.grudges.holds(account_id, one.deployment),
                ),
            )
        )

    def _of_model(self, name: str, reservation: Reservation) -> list[Target]:
        """One model's that may be tried, in order; InvalidRequest where all lack something."""
        row = self.catalogue.find(name)
        if row is None:
            return []
        tier = reservation.caller.limits.tier
        targets = [one for one in row.targets if may_use(tier, one.tier)]
        if len(targets) > 1:
            targets = self._preferred(targets, row, reservation)
        ordered: list[Target] = []
        by_load = row.entry.balancing == Balancing.LEAST_CONNECTIONS
        draw = self._least_connections if by_load else _by_weight
        for _, equals in groupby(targets, key=lambda one: one.priority):
            ordered += _drawn(list(equals), draw)
        return self._preferred_first(_able(ordered, row, reservation), reservation)

    def _preferred(
        self, targets: list[Target], row: ModelRow, reservation: Reservation
    ) -> list[Target]:
        """Without the models that the caller avoids; asking for one by its name is asking."""
        avoided = reservation.caller.preferences.avoided
        if not avoided or row.entry.name in avoided:
            return targets
        shunned = self.catalogue.deployments_of(avoided)
        left = [one for one in targets if one.deployment not in shunned]
        if not left:
            raise InvalidRequest(
                f"You avoid every model that could answer for {row.entry.name}. Your preferences "
                "are at /api/v1/preferences.",
                code="all_models_avoided",
                param="model",
                metadata={"avoided_models": list(avoided)},
            )
        return left

    def _preferred_first(self, targets: list[Target], reservation: Reservation) -> list[Target]:
        preferred = reservation.caller.preferences.preferred
        if not preferred:
            return targets
        places = {
            deployment: place
            for place, name in reversed(list(enumerate(preferred)))
            for deployment in self.catalogue.deployments_of((name,))
        }
        return sorted(targets, key=lambda one: places.get(one.deployment, len(preferred)))

    def _least_connections(self, targets: list[Target]) -> list[Target]:
        """Who has the least to do for its weight first; among those a random one."""
        return sorted(
            _by_weight(targets),
            key=lambda one: self.in_flight.get(one.deployment, 0) / max(one.weight, 1),
        )


def _switched_off(reservation: Reservation) -> ProvidersExhausted:
    """There was one when it was admitted, a moment ago."""
    name = reservation.request.model
    return ProvidersExhausted(f"No provider serves {name} right now. Nothing was charged.")


def _drawn(targets: list[Target], draw: Callable[[list[Target]], list[Target]]) -> list[Target]:
    return targets if len(targets) == 1 else draw(targets)


def _by_weight(targets: list[Target]) -> list[Target]:
    """A random order in which each place goes to a target in proportion to its weight."""
    # Source: Efraimidis and Spirakis, weighted random sampling with a reservoir (2006).
    return sorted(
        targets,
        key=lambda target: random.random() ** (1 / max(target.weight, 1)),  # noqa: S311
        reverse=True,
    )


def _able(targets: list[Target], row: ModelRow, reservation: Reservation) -> list[Target]:
    """Those that can do what the request needs; InvalidRequest where none can."""
    if not any(one.lacks or one.context_window for one in targets):
        return targets
    request, tokens = reservation.request, reservation.window_tokens
    roomy = [one for one in targets if not one.context_window or tokens <= one.context_window]
    if not roomy:
        window = max(one.context_window or 0 for one in targets)
        what = "Prompt and answer" if reservation.longest_input is None else "The longest text"
        raise InvalidRequest(
            f"{what} would have {tokens:,} tokens; those that answer for "
            f"{row.entry.name} just now take {window:,}.",
            code="context_length_exceeded",
            param=request.prompt_field,
            metadata={"prompt_tokens": reservation.prompt_tokens, "context_window": window},
        )
    needs = needs_of(request)
    able = [one for one in roomy if not one.lacks & needs]
    if not able:
        lacking = sorted(frozenset[str]().union(*(one.lacks & needs for one in roomy)))
        raise InvalidRequest(
            f"None of the models that answer for {row.entry.name} just now takes "
            f"{' and '.join(lacking)}.",
            code="not_supported_by_model",
            param=next(field for need, field in FIELD_OF.items() if need in lacking),
            metadata={"lacking": lacking},
        )
    return able
