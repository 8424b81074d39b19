"""The admin of models and their versions."""

from models_app.admin import models, versions

__all__ = ["models", "versions"]
