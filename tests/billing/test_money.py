"""Amounts and moments as people read them."""

import datetime as dt

import pytest
from django.template import Context, Template

from billing.templatetags.money import plan_price, utc


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "$0.00"),
        (5, "$0.05"),
        (2_999, "$29.99"),
        (28_790, "$287.90"),
        (123_450, "$1,234.50"),
        (-1_500, "−$15.00"),
        (-5, "−$0.05"),
        (-199, "−$1.99"),
    ],
)
def test_cents_are_shown_as_dollars(cents: int, text: str) -> None:
    page = Template("{% load money %}{{ cents|money }}")
    assert page.render(Context({"cents": cents})) == text


def test_a_price_is_named_by_its_key() -> None:
    assert plan_price("scalix_pro_monthly") == "$29.99 a month"
    with pytest.raises(KeyError):
        plan_price("somebody_elses")


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-04T14:05:59+00:00",
        "2026-11-04T15:05:59+01:00",
        dt.datetime(2026, 11, 4, 14, 5, tzinfo=dt.UTC),
    ],
)
def test_a_moment_is_shown_in_utc(moment: dt.datetime | str) -> None:
    assert utc(moment) == "4 November 2026, 14:05 UTC"


@pytest.mark.parametrize("nonsense", ["", "tomorrow", "2026-11-04T14:05:59"])
def test_what_is_no_moment_is_refused(nonsense: str) -> None:
    with pytest.raises(ValueError, match="no moment"):
        utc(nonsense)
