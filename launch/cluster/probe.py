"""Ask in a process of its own whether a Ray cluster lets this machine in.

Ray itself tries for 25 s, prints much, and aborts the process where a token is missing. So this
module runs as a child, `python -m launch.cluster.probe ADDRESS`, and prints one line: why this
process cannot join, or nothing if it can.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

CONNECT_SECONDS = 2  # for each of: the port answers; the cluster answers
SECONDS = 10.0  # in all: the child imports Ray first


def reason_against(address: str) -> str | None:
    """Return why this process cannot join the cluster at `address`, None if it can.

    Args:
        address: `auto` or `host:port`.
    """
    command = [sys.executable, "-m", "launch.cluster.probe", address]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RAY_gcs_rpc_server_connect_timeout_s": str(CONNECT_SECONDS),
    }
    try:
        child = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return "something listens there, but it does not answer as Ray does"
    if child.returncode:  # Ray ended the process
        return "something listens there, but it does not answer as Ray does"
    return child.stdout.strip().rpartition("\n")[2] or None


def _probe(address: str) -> str:
    from ray._private.authentication.authentication_token_setup import (
        ensure_token_if_auth_enabled,
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
    from ray.exceptions import AuthenticationError

    try:
        resolved = canonicalize_bootstrap_address(address)
        if resolved is None:
            return "no cluster was started on this machine, and RAY_ADDRESS is not set"
        host, _, port = resolved.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        if address == "auto":  # what `ray.init` does, in this order
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        ensure_token_if_auth_enabled(None, create_token_if_missing=False)
        metadata = GcsClient(address=resolved).internal_kv_get(
            b"CLUSTER_METADATA", b"cluster", timeout=CONNECT_SECONDS
        )
    except AuthenticationError:
        return (
            "it asks for a token, and the one here is missing or wrong: set RAY_AUTH_MODE=token "
            "and RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, as on the head"
        )
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
    return other_versions(json.loads(metadata)) if metadata else ""


def other_versions(cluster: dict[str, str]) -> str:
    """Return how the cluster's versions differ from those here, empty if they do not.

    Args:
        cluster: its `ray_version` and `python_version`.
    """
    import ray

    here = {"Ray": ray.__version__, "Python": ".".join(map(str, sys.version_info[:3]))}
    there = {"Ray": cluster["ray_version"], "Python": cluster["python_version"]}
    if os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor":
        here["Python"], there["Python"] = (
            versions["Python"].rpartition(".")[0] for versions in (here, there)
        )
    return ", ".join(
        f"it runs {name} {there[name]} and here is {name} {here[name]}"
        for name in here
        if here[name] != there[name]
    )


if __name__ == "__main__":
    print(_probe(sys.argv[1]))
