"""The pages, asked in process: no browser, the real pipeline, a test double as the provider."""
