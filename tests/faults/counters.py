"""What the counters say of an account, asked for and found out by trying."""

import asyncio

import httpx
import uvloop

from bench.product import Product
from tests.faults.cases import Load, Member, plain_cases
from tests.upstream.double import UpstreamDouble


def open_at_once(product: Product, double: UpstreamDouble, member: Member, tries: int) -> int:
    """Send so many requests that stay open at the upstream; give how many were let through.

    Returns when each was either let through or refused for its concurrency, and all have ended.
    """
    double.reset()
    load = Load(product.base_url, double.control_url, "scalix-free")
    cases = plain_cases(f"{member.email}-held", tries, [member], account=member.email, hold="all")

    async def run() -> None:
        sending = asyncio.create_task(load.run(cases, at_once=tries))
        await asyncio.to_thread(
            double.wait_until, lambda double: double.open_calls() + len(load.replies) == tries
        )
        await asyncio.to_thread(double.release, "all")
        await sending

    uvloop.run(run())
    refused = [reply for reply in load.replies.values() if reply.status != 200]
    assert all(
        reply.json()["error"]["metadata"]["limit"] == "concurrent_requests" for reply in refused
    )
    return double.max_at_once(member.email)


def used_tokens(product: Product, member: Member) -> int:
    """The day's tokens, as the account is told."""
    bearer = {"authorization": f"Bearer {member.token}"}
    answer = httpx.get(f"{product.base_url}/key", headers=bearer).raise_for_status().json()
    used: int = answer["limits"]["tokens_per_day"]["used"]
    return used
