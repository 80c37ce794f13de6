"""Which network addresses belong together."""

from functools import lru_cache
from ipaddress import ip_address, ip_network


@lru_cache(100_000)  # a detector asks for each request of a day
def carrier_of(address: str) -> str:
    """A provider's block, roughly: an address that changes within it is most likely one line's.

    A phone gets another address of its carrier many times a day, and hardly ever another carrier.
    """
    width = 32 if ip_address(address).version == 6 else 16
    return str(ip_network(f"{address}/{width}", strict=False).network_address)
