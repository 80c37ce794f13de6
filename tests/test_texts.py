"""What a newcomer reads is true: variables, commands, links and limits are those of the code."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from billing.models import Plan
from gateway.catalogue.starting_models import DEPLOYMENTS, MODELS

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def variables_in_example() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", read(".env.example"), re.MULTILINE))


def variables_of_catalogue() -> set[str]:
    named = {
        variable
        for one in DEPLOYMENTS
        for variable in (
            one.api_key_variable,
            one.base_url_variable,
            one.upstream_model_variable,
        )
    }
    return named - {""}


def test_the_example_has_every_variable_that_is_read_and_no_other() -> None:
    read_by_settings = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", read("scalix/settings.py")))
    assert variables_in_example() == read_by_settings | variables_of_catalogue()


def test_the_example_sets_nothing_by_itself() -> None:
    lines = [line for line in read(".env.example").splitlines() if line]
    assert all(line.startswith("#") for line in lines)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(text: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", text.read_text())
    missing = [link for link in links if "://" not in link and not (text.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_make_target_and_command_exists(text: Path) -> None:
    words = text.read_text()
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", words, re.MULTILINE)) <= targets
    assert set(re.findall(r"manage\.py ([a-z_]+)", words)) <= set(get_commands())


def test_every_command_of_ours_is_in_the_readme() -> None:
    ours = {name for name, app in get_commands().items() if app in ("scalix", "billing", "gateway")}
    in_table = set(re.findall(r"^\| `([a-z_]+)", read("README.md"), re.MULTILINE))
    assert ours <= in_table


def test_the_readme_names_the_models_that_each_key_switches_on() -> None:
    rows = re.findall(r"^\| `(\w+_KEY)`.*? \| ([^|]+) \|$", read("README.md"), re.MULTILINE)
    keys = {one.name: one.api_key_variable for one in DEPLOYMENTS if one.api_key_variable}
    pool = ("scalix-free", "scalix-auto")
    for key, models in rows:
        switched_on = {
            model.name
            for model in MODELS
            if model.name not in pool and key in {keys.get(name) for name in model.served_by}
        }
        assert set(re.findall(r"[a-z][\w.]*(?:-[\w.]+)+", models)) == switched_on, key


def test_the_readmes_limits_are_those_of_a_new_database(db: None) -> None:
    plans = {plan.tier: plan for plan in Plan.objects.all()}
    table = read("README.md")
    for label, field in (("tokens a day", "tokens_per_day"), ("requests at once", None)):
        (row,) = re.findall(rf"^\| {label} \| (.+) \|$", table, re.MULTILINE)
        cells = [cell.replace(",", "") for cell in row.split(" | ")]
        values = [
            getattr(plans[tier], field or "concurrent_requests")
            for tier in ("visitor", "free", "pro")
        ]
        assert cells == ["no limit" if value is None else str(value) for value in values]
    for tier, figures in (("visitor", "5 / 20"), ("free", "10 / 50")):
        plan = plans[tier]
        assert f"{plan.requests_per_hour} / {plan.requests_per_day}" == figures
        assert figures in table


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
