"""Hosts on one machine, each with its own network, processes, name and shared memory.

They are namespaces of Linux, made by `unshare`. All that runs in a host, and its network, ends when
the first process of the host does; that one reads a pipe from the test, and so ends with it.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil

from tests.launch.runs import ROOT

SPACES = ["--net", "--pid", "--mount", "--uts", "--ipc"]
# What processes leave behind is ours to reap: `env` lets the kernel do it.
FIRST = """
hostname "$0" && mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$1" &&
ip link set lo up && echo up && exec env --ignore-signal=CHLD cat
"""
SECONDS = 150.0  # that a command may take


def missing():
    """Return why there can be no hosts here, None if there can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    if lacks := [tool for tool in ("ip", "unshare", "nsenter") if not shutil.which(tool)]:
        return f"not installed: {', '.join(lacks)}"
    link = "ip link add name a type veth peer name b && ip link add name c type bridge"
    trial = subprocess.run(
        ["unshare", *SPACES, "--fork", "--mount-proc", "sh", "-c", link],
        capture_output=True,
        text=True,
    )
    return f"no namespaces here: {trial.stderr.strip()}" if trial.returncode else None


class Host:
    """A host, and a shell on it whose variables stay from command to command.

    Args:
        name: of the host.
        homes: a folder in which its home folder is made; the path must be short.
    """

    def __init__(self, name, homes):
        self.name = name
        self.home = homes / name
        self.home.mkdir()
        self._ray = str(homes / "ray")  # the same path on each host, and another folder
        self._first = subprocess.Popen(
            ["unshare", *SPACES, "--fork", "--mount-proc", "sh", "-c", FIRST, name, self._ray],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._first.stdout.readline() == b"up\n"
        (first,) = psutil.Process(self._first.pid).children()
        self.pid = first.pid
        self._log = self.home / "shell.log"
        with self._log.open("w") as log:
            self._shell = self.start("bash", stdin=subprocess.PIPE, stdout=log)

    def start(self, *command, **options):
        """Start a command in the host, in a shell of its own."""
        python = Path(sys.executable).parent
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.home.parent}:{python}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": self._ray,
            "HOMES": str(self.home.parent),
        }
        short = [space[1:3] for space in SPACES]
        return subprocess.Popen(
            ["nsenter", "-t", str(self.pid), *short, f"--wd={ROOT}", *command],
            env=environment,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def type(self, script):
        """Type a script into the host's shell."""
        self._seen = len(self._log.read_text())
        self._mark = uuid.uuid4().hex
        self._shell.stdin.write(f"{script}\necho {self._mark} $?\n")
        self._shell.stdin.flush()

    def finish(self):
        """Wait for the end of what was typed; return its exit status and what it printed."""
        end = time.monotonic() + SECONDS
        while not re.search(rf"{self._mark} \d+\n", text := self._log.read_text()[self._seen :]):
            assert time.monotonic() < end, f"{self.name}: no end of\n{text}"
            time.sleep(0.05)
        output, _, status = text.partition(self._mark)
        return int(status), output

    def enter(self, script):
        """Type a script and wait for its end."""
        self.type(script)
        return self.finish()

    def ip(self, command):
        """Change the host's network."""
        subprocess.run(["nsenter", "-t", str(self.pid), "-n", "ip", *command.split()], check=True)

    def close(self):
        """End the host, and with it all of its processes."""
        self._first.stdin.close()
        self._first.wait()
        self._shell.wait()


@contextlib.contextmanager
def network(*names):
    """Make hosts on one wire; the first one is the switch, 192.0.2.1, and the way to outside."""
    homes = Path(tempfile.mkdtemp(prefix="srwm-", dir="/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, homes, ignore_errors=True)
        (homes / "ray").mkdir()
        hosts = []
        for name in names:
            hosts.append(Host(name, homes))
            stack.callback(hosts[-1].close)
        switch = hosts[0]
        switch.ip("link add name wire type bridge")
        switch.ip("address add 192.0.2.1/24 dev wire")
        switch.ip("link set wire up")
        for number, host in enumerate(hosts[1:], start=2):
            switch.ip(f"link add name {host.name} type veth peer name eth0 netns {host.pid}")
            switch.ip(f"link set {host.name} master wire up")
            host.ip(f"address add 192.0.2.{number}/24 dev eth0")
            host.ip("link set eth0 up")
            host.ip("route add default via 192.0.2.1")
        yield hosts
