"""What the person at the keyboard can mend."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: one line that names the key, the value and what would be right. Exit status 2."""
