"""A pool of simulated providers behind the running product, and people who use it."""
