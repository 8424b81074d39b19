from django.apps import AppConfig


class BaseConfig(AppConfig):
    name = "aegisml.base"
    label = "base"
    verbose_name = "Access"

    def ready(self) -> None:
        from aegisml.base import checks  # noqa: F401, PLC0415 - registers system checks
