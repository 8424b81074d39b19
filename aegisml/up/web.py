"""What granian's workers load: the application, in a process that ends with its master.

Granian leaves its workers running, and their port taken, when it is killed.
"""

from aegisml.up.child import die_with_parent

die_with_parent()

from aegisml.wsgi import application  # noqa: E402 - loading takes seconds: a parent may end in them

__all__ = ["application"]
