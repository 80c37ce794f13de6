"""Availability by the day: what minutes and probes come to, so that 90 days are 90 rows."""

import datetime as dt
from typing import Final

from django.db import connection, transaction

# A day is summed whole from what is kept longer than a day; only ever today and yesterday.
_ROLL: Final = """
WITH answers AS (
    SELECT deployment, sum(succeeded)::bigint AS good, sum(failed)::bigint AS bad
      FROM gateway_qualityminute WHERE minute >= %(start)s AND minute < %(end)s GROUP BY 1
), probes AS (
    SELECT deployment.name AS deployment, count(*) FILTER (WHERE succeeded) AS good,
           count(*) FILTER (WHERE NOT succeeded) AS bad
      FROM gateway_proberesult probe
      JOIN gateway_deployment deployment ON deployment.id = probe.deployment_id
     WHERE probed_at >= %(start)s AND probed_at < %(end)s GROUP BY 1
)
INSERT INTO gateway_deploymentday
       (day, deployment, succeeded, failed, probes_succeeded, probes_failed)
SELECT %(day)s, deployment, coalesce(answers.good, 0), coalesce(answers.bad, 0),
       coalesce(probes.good, 0), coalesce(probes.bad, 0)
  FROM answers FULL JOIN probes USING (deployment)
ON CONFLICT (day, deployment) DO UPDATE
   SET succeeded = excluded.succeeded, failed = excluded.failed,
       probes_succeeded = excluded.probes_succeeded, probes_failed = excluded.probes_failed
"""


def roll_up(now: dt.datetime) -> None:
    """Sums today and yesterday anew; any number of runs leaves the same."""
    today = now.astimezone(dt.UTC).date()
    for day in (today - dt.timedelta(days=1), today):
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        bounds = {"day": day, "start": start, "end": start + dt.timedelta(days=1)}
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ROLL, bounds)
