"""`manage.py demo`: the three walks, against a product that runs."""

import json
import re
from pathlib import Path

import pytest

from tests.commands.shell import manage
from tests.gateway_server import GatewayServer

pytestmark = pytest.mark.usefixtures("within_the_hour")


def test_it_shows_a_free_user_a_pro_user_and_the_limit(gateway_server: GatewayServer) -> None:
    done = manage(gateway_server.product.paths.var, "demo")
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    assert f"Scalix at {gateway_server.base_url}" in printed
    assert "3 of 10 requests this hour; 3 of 50 requests today" in printed
    assert "refused (403 model_not_in_plan)" in printed
    assert "3 requests this hour, no limit" in printed
    assert "10. answered; left: 0 requests" in printed
    assert "11. refused: 429 insufficient_quota" in printed
    assert "Hourly free limit reached: 10 of 10 requests." in printed
    assert "The refusal cost nothing: 10 of 10 requests are used." in printed
    assert printed.rstrip().endswith("no limit")


def test_it_says_the_same_as_json(gateway_server: GatewayServer) -> None:
    done = manage(gateway_server.product.paths.var, "demo", "--json")
    seen = json.loads(done.stdout)
    assert seen["url"] == gateway_server.base_url
    assert [answer["status"] for answer in seen["free_user"]["answers"]] == [200, 200, 200, 403]
    assert seen["pro_user"]["limits"]["requests_per_day"]["max"] is None
    limited = seen["rate_limit"]
    assert (limited["limit"], limited["refused_at"], limited["used"]) == (10, 11, 10)
    assert limited["refusal"]["code"] == "insufficient_quota"
    assert limited["pro"]["status"] == 200


def test_each_run_has_fresh_users_whose_tokens_end_with_it(gateway_server: GatewayServer) -> None:
    emails = set()
    for _ in range(2):
        done = manage(gateway_server.product.paths.var, "demo")
        emails |= set(re.findall(r"demo-\S+@scalix\.localhost", done.stdout))
    assert len(emails) == 6
    ((open_tokens,),) = gateway_server.sql(
        "SELECT count(*) FROM accounts_apitoken token JOIN accounts_user person"
        " ON person.id = token.user_id WHERE person.email = ANY(%s) AND revoked_at IS NULL",
        (list(emails),),
    )
    assert open_tokens == 0


def test_a_provider_that_fails_is_said_and_ends_the_demo(gateway_server: GatewayServer) -> None:
    gateway_server.upstream.script(fault="500")
    try:
        done = manage(gateway_server.product.paths.var, "demo")
    finally:
        gateway_server.upstream.reset()
    assert done.returncode == 1
    assert "scalix-free: 503 server_is_overloaded" in done.stderr


def test_with_no_server_it_says_how_to_start_one(gateway_server: GatewayServer) -> None:
    var = gateway_server.product.paths.var
    ((before,),) = gateway_server.sql("SELECT count(*) FROM accounts_user")
    done = manage(var, "demo", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Nothing answers at http://127.0.0.1:9. Start Scalix with `make run`" in done.stderr
    assert "Traceback" not in done.stderr
    assert gateway_server.sql("SELECT count(*) FROM accounts_user") == [(before,)]


def test_with_no_database_it_says_so_in_one_line(
    gateway_server: GatewayServer, tmp_path: Path
) -> None:
    done = manage(tmp_path, "demo", "--url", gateway_server.base_url)
    assert done.returncode == 1
    assert "The database can't be reached" in done.stderr
