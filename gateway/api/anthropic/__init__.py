"""Anthropic's Messages API, put into our own terms and back."""
