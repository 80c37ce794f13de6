"""The official SDKs, unmodified, against the running gateway."""
