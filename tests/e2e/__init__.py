"""The product in a real browser, against a running server; a pytest run of its own."""
