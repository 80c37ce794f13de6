"""The order in which a model's deployments are tried."""

from collections import Counter
from typing import Any

import pytest

from gateway.catalogue.snapshot import ModelRow
from gateway.errors import ProvidersExhausted
from gateway.health.circuits import FEWEST_FAILURES, Circuits
from gateway.steps.route import route
from gateway.types import Target
from tests.gateway.cast import reservation, target


class Catalogue:
    """One model, and who serves it."""

    def __init__(self, *targets: Target) -> None:
        self._row = ModelRow(reservation().model, targets, families=())

    def find(self, name: str) -> ModelRow | None:
        return self._row if name == "m" else None


def order(catalogue: Any, model: str = "m", circuits: Circuits | None = None) -> list[str]:
    targets = route(catalogue, circuits or Circuits(), reservation(model))
    return [one.deployment for one in targets]


def test_the_lowest_priority_number_is_tried_first() -> None:
    catalogue = Catalogue(target("a", 1), target("b", 2), target("c", 10))

    assert order(catalogue) == ["a", "b", "c"]


def test_equals_are_drawn_by_weight_and_all_are_tried() -> None:
    catalogue = Catalogue(target("rare", 1, 1), target("often", 1, 9), target("last", 2))
    orders = [order(catalogue) for _ in range(2_000)]

    assert {tuple(sorted(one)) for one in orders} == {("last", "often", "rare")}
    assert {one[2] for one in orders} == {"last"}
    first = Counter(one[0] for one in orders)
    assert 0.85 < first["often"] / 2_000 < 0.95


def test_those_whose_circuit_is_open_come_last_and_in_their_order() -> None:
    circuits = Circuits()
    for name in ("a", "b"):
        for _ in range(FEWEST_FAILURES):
            circuits.saw(name, "provider_500")
    catalogue = Catalogue(target("a", 1), target("b", 2), target("c", 10), target("d", 20))

    assert order(catalogue, circuits=circuits) == ["c", "d", "a", "b"]


def test_a_weight_of_nothing_is_the_least() -> None:
    orders = [order(Catalogue(target("none", 1, 0), target("one", 1, 1))) for _ in range(200)]

    assert {one[0] for one in orders} == {"none", "one"}


@pytest.mark.parametrize(("catalogue", "model"), [(Catalogue(), "m"), (Catalogue(), "gone")])
def test_a_model_that_was_switched_off_meanwhile_has_no_provider(
    catalogue: Catalogue, model: str
) -> None:
    with pytest.raises(ProvidersExhausted, match="Nothing was charged"):
        order(catalogue, model)


def test_a_target_does_not_show_its_key() -> None:
    assert "sk-" not in repr(target("a", api_key="sk-secret"))
    assert "sk-" not in f"{target('a', api_key='sk-secret')}"
