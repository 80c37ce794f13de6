from django.apps import AppConfig


class ScalixConfig(AppConfig):
    name = "scalix"
    default_auto_field = "django.db.models.BigAutoField"
