"""Customers who wait for a refresh: one after the other or, when they are many, several at once."""

import logging
import uuid
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import DatabaseError, connection

from billing.payments.fulfilment import refresh
from billing.payments.stripe_api import StripeApi, StripeAway

logger = logging.getLogger(__name__)

_MANY: Final = 20
"""From so many on it takes several threads to be done soon after Stripe was away."""

_THREADS: Final = 4
"""With calls of a tenth of a second they make 40 a second; Stripe takes 100."""


class Backlog:
    """Works off customers, with one Stripe, until nobody is left or Stripe is away."""

    def __init__(self, customers: Iterable[uuid.UUID], stripe: StripeApi) -> None:
        self._waiting = deque(customers)
        self._stripe = stripe
        self._refreshed: list[uuid.UUID] = []

    def work_off(self) -> int:
        """How many were refreshed.

        After the first call that Stripe does not answer no other customer's turn comes: they would
        wait for it as long.  Whatever else is wrong with one customer, the others go on.
        """
        if len(self._waiting) < _MANY:
            self._work()
        else:
            self._refresh(self._waiting.popleft())  # alone: a Stripe that hangs keeps one thread
            with ThreadPoolExecutor(_THREADS, "backlog") as threads:
                for thread in [threads.submit(self._work_aside) for _ in range(_THREADS)]:
                    thread.result()
        return len(self._refreshed)

    def _work_aside(self) -> None:
        try:
            self._work()
        finally:
            connection.close()  # the thread's own

    def _work(self) -> None:
        while True:
            try:
                customer_pk = self._waiting.popleft()
            except IndexError:  # asked for its length first, another thread might take the last one
                return
            self._refresh(customer_pk)

    def _refresh(self, customer_pk: uuid.UUID) -> None:
        try:
            if refresh(customer_pk, self._stripe, only_if_due=True) is not None:
                self._refreshed.append(customer_pk)
        except StripeAway as error:
            self._waiting.clear()
            logger.warning("Stripe is away (%s); %d refreshed before", error, len(self._refreshed))
        except DatabaseError:
            self._waiting.clear()
            raise
        except Exception:
            logger.exception("customer %s can't be refreshed", customer_pk)
