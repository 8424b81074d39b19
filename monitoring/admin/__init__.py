"""The admin's first page."""

from aegisml.base.admin import pages
from monitoring.admin import dashboard

pages.add(dashboard.urls)
