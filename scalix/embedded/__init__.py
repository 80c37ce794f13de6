"""The servers that `manage.py up` starts when the environment names none of its own."""
