"""Filters of templates about money."""
