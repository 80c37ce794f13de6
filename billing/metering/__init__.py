"""Exact counting: admission against limits, the ledger, and what puts right what died half-way."""
