"""The admin's first page."""

from django.contrib import admin

from monitoring.admin import dashboard

admin.site.extra_urls = dashboard.urls  # type: ignore[attr-defined]  # the theme's site asks for it
