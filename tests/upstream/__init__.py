"""A deterministic OpenAI-wire upstream: the far side of the gateway in tests and benchmarks.

It counts tokens exactly, misbehaves when a request's own text tells it to (see `script`), and
keeps a record of every call it received (see `calls`). `double.UpstreamDouble` starts one.
"""
