"""`scp` and `ssh` between the hosts of a test: they copy through the one disk that all hosts share.

    python -m tests.launch.cluster.ssh serve
    python -m tests.launch.cluster.ssh forward -N -L PORT:ADDRESS:PORT HOST

The server of a host answers at the socket `sshd` in its home folder: a socket in a file
reaches from one network to another. Home folders are `$HOMES/HOST`.
"""

import asyncio
import os
import sys
from pathlib import Path

SCP = """#!/bin/sh
place() { case $1 in *:*) echo "$HOMES/${1%%:*}/${1#*:}";; *) echo "$1";; esac; }
cp "$1" "$(place "$2")" "$(place "$3")"
"""
SSH = f"""#!/bin/sh
exec {sys.executable} -m tests.launch.cluster.ssh forward "$@"
"""


def install(folder):
    """Write the commands into a folder."""
    for name, text in {"scp": SCP, "ssh": SSH}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


async def _copy(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _join(one, other):
    await asyncio.gather(_copy(one[0], other[1]), _copy(other[0], one[1]), return_exceptions=True)


async def _serve(reader, writer):
    """Connect to the address that the first line names."""
    host, port = (await reader.readline()).decode().split()
    await _join((reader, writer), await asyncio.open_connection(host, port))


def _forward(target, server):
    async def forward(reader, writer):
        far = await asyncio.open_unix_connection(server)
        far[1].write(f"{target}\n".encode())
        await _join((reader, writer), far)

    return forward


async def main(command, *arguments):
    homes = Path(os.environ["HOMES"])
    if command == "serve":
        server = await asyncio.start_unix_server(_serve, Path.home() / "sshd")
    else:
        _, _, ports, host = arguments
        port, address, far = ports.split(":")
        forward = _forward(f"{address} {far}", homes / host / "sshd")
        server = await asyncio.start_server(forward, "127.0.0.1", int(port))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
