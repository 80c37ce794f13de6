"""Who is asking: users, their personal tokens, and visitors without an account."""
