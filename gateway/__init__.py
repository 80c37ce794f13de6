"""The request path, and the models behind it."""
