"""Providers with a wire of their own, over our transport.

Requests are put into their form by litellm's classes, which know every model's peculiarities;
answers are read here, since litellm's ways of reading them cost more than all the rest of a call.
"""
