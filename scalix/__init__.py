"""Wiring only: settings, addresses, entry points, the embedded parts.  Nobody imports it."""
