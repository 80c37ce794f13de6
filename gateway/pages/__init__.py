"""What people see: try-it, dashboard, tokens, documentation, and the pages for when things fail.

A view asks the pipeline or the ledger, turns figures into words (`limits`, `notices`, `history`)
and renders.  Everything works without JavaScript; `static/scalix/*.js` only makes it smoother.
"""
