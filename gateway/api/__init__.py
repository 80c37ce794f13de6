"""HTTP: the OpenAI endpoints, the free API and the account's own, under /v1 and /api/v1."""
