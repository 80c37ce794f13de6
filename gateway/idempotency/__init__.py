"""`Idempotency-Key`: an answer that was charged is given again instead of being made again."""
