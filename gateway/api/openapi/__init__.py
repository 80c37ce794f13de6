"""The API's own description: OpenAPI 3.1, at `/openapi.json`.

What a request may hold is generated from the structs that read it (`bodies`), what an answer holds
from structs that say it (`answers`), what can go wrong from the reference of error codes.  A path
without an operation (`operations`) fails a test.
"""
