"""What may be asked, and how much of it: content rules, abuse detection and its effects."""
