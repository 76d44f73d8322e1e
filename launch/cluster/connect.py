"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import socket

import ray

from launch.errors import UserError


def check_address(address: str) -> None:
    """Refuse an address that nobody answers at; Ray itself would go on trying for minutes.

    Raises:
        UserError: naming the address.
    """
    try:
        if address == "auto":
            ray.init(address=address, logging_level=logging.ERROR)
            ray.shutdown()
        else:
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:  # a ConnectionError of Ray's is an OSError too
        raise no_cluster(address, error) from None


def no_cluster(address: str | None, error: Exception) -> UserError:
    """Return the error that says why no cluster answers at `address`."""
    reason = " ".join(str(error).split())
    return UserError(
        f"launch.address: no Ray cluster answers at {address!r} ({reason}): "
        "use auto, HOST:PORT or ray://HOST:PORT"
    )
