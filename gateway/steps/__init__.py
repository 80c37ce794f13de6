"""The six steps of the request path.  None imports another; the pipeline puts them in order."""
