"""The embedded servers and their supervisor, as real processes in folders of their own."""
