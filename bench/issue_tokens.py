"""`python -m bench.issue_tokens TIER EMAIL...`: what `manage.py issue_token` does, many times.

One process for all of them: each would spend its second on loading the application.
"""

import argparse
import os

import django
from django.core.management import call_command


def main() -> None:
    """Print what the command prints with --json, a line for each address."""
    parser = argparse.ArgumentParser(prog="python -m bench.issue_tokens", description=__doc__)
    parser.add_argument("tier")
    parser.add_argument("email", nargs="+")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
    django.setup()
    for email in options.email:
        call_command("issue_token", email, tier=options.tier, json=True)


if __name__ == "__main__":
    main()
