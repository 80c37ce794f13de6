"""Django's deployment checks, with the settings of a deployment instead of a developer's."""

import os
import subprocess
import sys

DEPLOYMENT = {
    "DEBUG": "false",
    "SECRET_KEY": "a-key-for-this-check-alone-0123456789-abcdefghijklmnopqrstuvwxyz",
    "PUBLIC_URL": "https://scalix.example",
    "ALLOWED_HOSTS": "scalix.example",
    "DATABASE_URL": "postgresql://scalix@database.example/scalix",
    "REDIS_URL": "redis://cache.example/0",
}

if __name__ == "__main__":
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    sys.exit(subprocess.call(command, env={**os.environ, **DEPLOYMENT}))
