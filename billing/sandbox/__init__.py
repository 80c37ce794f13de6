"""An embedded Stripe: a small server that the official SDK talks to.  No money moves.

It knows nothing of the product and imports nothing from it; the product knows its address only.
"""
