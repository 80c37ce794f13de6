"""Providers, as stand-ins that speak each one's own wire, and the cases that all of them pass."""
