"""`make bench`: what a request costs the web processes, measured against the test double."""
