"""Tell apart why a call of an actor failed, and say it in one line."""

from __future__ import annotations

from ray.exceptions import ObjectLostError, RayActorError, RayError, RayTaskError


class LostInputError(Exception):
    """What an actor was given is lost with its node; the actor itself is well."""


def lost_input(error: RayError) -> bool:
    """Return whether a call failed because what it was given is lost."""
    # Ray makes a task's error an instance of its cause's type too. The death of the actor that was
    # asked is a plain RayActorError; that of the one that made the input is the task's error.
    return isinstance(error, RayTaskError) and isinstance(error, ObjectLostError | RayActorError)


def reason(error: BaseException) -> str:
    """Return an error in one line: its type and the first line of its message."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    # Ray's first line says that the actor died; why it did stands in the last one.
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    if isinstance(error, RayActorError) and lines:
        return lines[-1]
    return ": ".join([type(cause).__name__, *lines[:1]])
