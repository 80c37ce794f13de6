"""Whether deployments answer."""
