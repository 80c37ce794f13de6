"""Payments: what users are offered, what they pay, and what it gives them."""
