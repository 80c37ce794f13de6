"""The names of the tiers."""

from django.db import models


class Tier(models.TextChoices):
    """Who gets what, lowest first.  A visitor's and a free user's tier need no subscription."""

    VISITOR = "visitor"
    FREE = "free"
    PRO = "pro"
