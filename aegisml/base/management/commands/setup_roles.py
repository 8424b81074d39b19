"""manage.py setup_roles"""

from typing import Any

from django.core.management.base import BaseCommand

from aegisml.base import accounts


class Command(BaseCommand):
    help = "Make the roles and, on an empty installation, the first users (passwords shown once)."

    def handle(self, *args: Any, **options: Any) -> None:
        accounts.set_up_roles()
        made = accounts.create_first_users()
        if not made:
            self.stdout.write("Roles are up to date; users exist already.")
            return
        self.stdout.write("First users, shown this once:")
        self.stdout.write(f"  {'username':<12}{'role':<18}password")
        for user in made:
            self.stdout.write(f"  {user.username:<12}{user.role:<18}{user.password}")
