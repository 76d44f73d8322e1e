"""Errors that end a command with one line: bad input, and a run that cannot go on."""

from __future__ import annotations


class RunError(Exception):
    """A run that cannot go on: one line that says why and what was saved. Exit status 1."""


class UserError(Exception):
    """Bad input: one line that names the key, the value and what would be right. Exit status 2."""
