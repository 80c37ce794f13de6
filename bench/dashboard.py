"""`python -m bench.dashboard`: what the dashboard's queries read in a ledger of ten million rows.

A Postgres of its own gets that many rows, of a thousand accounts in two months, and its roll-ups.
It needs about 5 GB of disk in the folder for temporary files.
"""

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.servers import PrivateServers

MOST_ROWS: Final = 1_000
_ACCOUNTS: Final = 1_000
_AT_ONCE: Final = 500_000
_PAGES: Final = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; the page's are of one account, which has a thousandth of all rows."""

    rows: int
    rows_of_the_account: int
    first_roll_up_seconds: float
    next_roll_up_seconds: float
    page_reads_rows: int
    page_milliseconds: float
    page_from_rows_alone_reads_rows: int
    page_from_rows_alone_milliseconds: float


def measure(rows: int) -> Figures:
    """Fills the ledger, sums it, and asks for the page of one account."""
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import User
    from billing.metering.partitions import create_partitions
    from billing.metering.rollups import roll_up
    from billing.models import LedgerEntry, RollupMark
    from gateway.pages.dashboard import of_the_past
    from tests.metering.rolling import account, fill
    from tests.pages.plans import rows_read

    call_command("migrate", verbosity=0)
    create_partitions(connection, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=61))
    for part in range(0, rows, _AT_ONCE):
        many = min(_AT_ONCE, rows - part)
        fill(many, span="60 days", accounts=_ACCOUNTS, seed=str(part))
        print(f"{part + many:,} rows", file=sys.stderr)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE billing_ledgerentry")
    first, following = _seconds(roll_up), _seconds(roll_up)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE billing_usagehour, billing_usageday")
    user = User.objects.create_user("dora@example.com", id=account(0))

    def page() -> dict[str, Any]:
        return of_the_past(user)

    read, took = rows_read(page), _median(page)
    RollupMark.objects.all().delete()
    return Figures(
        rows=LedgerEntry.objects.count(),
        rows_of_the_account=LedgerEntry.objects.filter(account_id=user.pk).count(),
        first_roll_up_seconds=round(first, 1),
        next_roll_up_seconds=round(following, 2),
        page_reads_rows=read,
        page_milliseconds=round(1000 * took, 1),
        page_from_rows_alone_reads_rows=rows_read(page),
        page_from_rows_alone_milliseconds=round(1000 * _median(page), 1),
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _median(page: Callable[[], object]) -> float:
    return statistics.median(_seconds(page) for _ in range(_PAGES))


def main() -> int:
    """Measure and print; the exit status is 1 if the page reads more rows than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    servers = PrivateServers()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "scalix.settings",
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "SCALIX_VAR": str(servers.paths.var),
        "SECRET_KEY": "of-a-benchmark-that-serves-nobody",
        "LOG_LEVEL": "ERROR",
    }
    servers.start()
    try:
        import django

        django.setup()
        figures = measure(options.rows)
    finally:
        servers.stop()
    print(json.dumps(asdict(figures), indent=2))
    return 0 if figures.page_reads_rows < MOST_ROWS else 1


if __name__ == "__main__":
    sys.exit(main())
