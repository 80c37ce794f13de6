"""The six steps of the request path.  None imports another; `gateway.pipeline` puts them in order."""
