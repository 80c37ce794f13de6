"""The benchmark's own parts measure what they say."""
