"""What Redis still has to be told: endings that the ledger has and the counters have not.

The ledger is committed first, so nothing is lost when this process dies: its bookings carry its
name, and the sweeper settles them from the ledger.
"""

import asyncio
import logging
import uuid
from dataclasses import dataclass
from typing import Final

from billing.metering.fence import Generation
from billing.metering.quota import Quota, QuotaUnavailable

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.1
_TOGETHER: Final = 100


@dataclass(frozen=True, slots=True)
class _Debt:
    account_id: uuid.UUID
    request_id: uuid.UUID
    charged: bool
    tokens: int
    address: str | None
    generation: int
    anew: bool


class QuotaDebts:
    """Settles with the counters in the background, again and again until they answer.

    A debt is of the counters' generation: those of the next one are summed from the ledger.
    """

    def __init__(self, quota: Quota, generation: Generation | None = None) -> None:
        self._quota = quota
        self._generation = generation or Generation()
        self._debts: asyncio.Queue[_Debt] = asyncio.Queue()
        self._owed = 0  # the one that is being paid included
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to pay."""
        self._task = asyncio.create_task(self._pay(), name="quota-debts")

    def owe(
        self,
        account_id: uuid.UUID,
        request_id: uuid.UUID,
        *,
        charged: bool,
        tokens: int,
        address: str | None = None,
        generation: int | None = None,
        anew: bool = False,
    ) -> None:
        """Notes a settlement that the counters of that generation, or of today's, must hear of.

        `anew`: they may have summed the row as it was, so the account is summed again after it.
        """
        self._owed += 1
        number = generation or self._generation.number
        self._debts.put_nowait(
            _Debt(account_id, request_id, charged, tokens, address, number, anew)
        )

    async def stop(self, patience: float = 5.0) -> None:
        """Pays what is owed, `patience` seconds at most."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(patience):
                await self._debts.join()
        except TimeoutError:
            logger.warning("stopping with %d settlements owed to the counters", self._owed)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _pay(self) -> None:
        while True:
            debts = [await self._debts.get()]
            while len(debts) < _TOGETHER and not self._debts.empty():
                debts.append(self._debts.get_nowait())
            await asyncio.gather(*map(self._pay_one, debts))  # they share a trip

    async def _pay_one(self, debt: _Debt) -> None:
        while not await self._paid(debt):  # noqa: ASYNC110  (the store tells nobody of its return)
            await asyncio.sleep(_RETRY_SECONDS)
        self._owed -= 1
        self._debts.task_done()

    async def _paid(self, debt: _Debt) -> bool:
        if debt.generation < self._generation.number:
            return True
        try:
            await self._quota.settle(
                debt.account_id,
                debt.request_id,
                charged=debt.charged,
                tokens=debt.tokens,
                address=debt.address,
                generation=debt.generation,
            )
            if debt.anew:
                await self._quota.forget(debt.account_id, generation=debt.generation)
        except QuotaUnavailable:
            return False
        except Exception:  # one debt that can't be paid must not keep the others waiting
            logger.exception("could not settle %s; the sweeper's walk will", debt.request_id)
        return True
