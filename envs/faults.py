"""The error of an environment that fails or breaks its contract."""

from __future__ import annotations


class EnvFault(RuntimeError):
    """An environment raised an error, or returned what its contract does not allow.

    Args:
        task: name of the environment's task.
        call: what was called: "reset()", "step()", "close()", ...; or what is at fault.
        problem: what went wrong, as the end of a sentence that begins with the call.
        steps: steps of the episode that were taken before.
    """

    def __init__(self, task: str, call: str, problem: str, steps: int | None = None) -> None:
        # All arguments go to the base class, so that the error can be sent between processes.
        super().__init__(task, call, problem, steps)
        self.task = task
        self.call = call
        self.problem = problem
        self.steps = steps

    def __str__(self) -> str:
        where = "" if self.steps is None else f" (after {self.steps} steps of an episode)"
        return f"task {self.task!r}: {self.call} {self.problem}{where}"


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
