"""`python -m bench.tokens`: how far real tokenizers are from what the gateway counts and bounds."""
