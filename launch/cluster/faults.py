"""Find out why a call of an actor failed, and say it in one line."""

from __future__ import annotations

from ray.exceptions import ObjectLostError, RayActorError, RayError, RayTaskError


class LostInputError(Exception):
    """What an actor was given is lost with its node; the actor itself is well."""


def lost_input(error: RayError) -> bool:
    """Return whether a call failed because what it was given is lost."""
    # Ray makes a task's error an instance of its cause's type too. The death of the actor that was
    # asked is a plain RayActorError; that of the one that made the input is the task's error.
    return isinstance(error, RayTaskError) and isinstance(error, ObjectLostError | RayActorError)


def reason(error: RayError) -> str:
    """Return why a call failed, in one line."""
    if isinstance(error, RayTaskError):
        lines = str(error.cause).splitlines()
        return ": ".join([type(error.cause).__name__, *lines[:1]])
    text = str(error)
    if "node has died" in text:
        return "its node is lost"
    if "Worker exit detail: " in text:  # a paragraph of what may have been the cause follows
        detail = text.partition("Worker exit detail: ")[2]
        return f"its process died ({' '.join(detail.split()).partition('. ')[0]})"
    # An error in the actor's constructor comes with its traceback, whose last line says it.
    return next(
        (line for line in reversed(text.splitlines()) if line.strip()), type(error).__name__
    )
