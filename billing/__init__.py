"""What accounts may spend, what they spent, and what they pay."""
