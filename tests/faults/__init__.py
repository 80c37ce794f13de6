"""The product under load and under faults: what is promised holds whatever dies in between."""
