"""What a deployment may still be asked: its provider's own limits, shared by all processes."""
