"""The admin's policy is one step less strict than the pages', and no more."""

from django.test import Client


def policy(client: Client, path: str) -> dict[str, str]:
    header = client.get(path).headers["Content-Security-Policy"]
    return dict(directive.split(" ", 1) for directive in header.split("; "))


def test_in_the_admin_alpine_may_evaluate_and_pages_may_carry_styles(staff: Client) -> None:
    admin = policy(staff, "/admin/")
    assert admin["script-src"] == "'self' 'unsafe-eval'"
    assert admin["style-src"] == "'self' 'unsafe-inline'"


def test_the_log_in_form_has_the_same_policy(client: Client) -> None:
    assert "'unsafe-eval'" in policy(client, "/admin/login/")["script-src"]


def test_elsewhere_neither_is_allowed(client: Client) -> None:
    elsewhere = policy(client, "/nowhere")
    assert (elsewhere["script-src"], elsewhere["style-src"]) == ("'self'", "'self'")


def test_what_is_not_about_scripts_and_styles_is_the_same(staff: Client) -> None:
    admin, elsewhere = policy(staff, "/admin/"), policy(staff, "/nowhere")
    for directive in ("script-src", "style-src"):
        del admin[directive], elsewhere[directive]
    assert admin == elsewhere
