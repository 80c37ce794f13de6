"""How many tokens a prompt has: as OpenAI counts them, and at most, whoever serves it.

Providers' own tokenizers are not asked, and mostly not to be had.  What a provider reports always
replaces what is counted here.  What was measured, and how: docs/token-counts.md.
"""
