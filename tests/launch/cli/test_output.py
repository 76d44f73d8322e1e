"""Output that goes away must not end what runs."""

import os
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import logging, sys
from launch.cli.output import keep_output_alive
keep_output_alive()
logging.basicConfig(level=logging.INFO, format="%(message)s")
"""


def run(code, stdout, **environment):
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        timeout=60,
    )


WRITES = """
for number in range(3):
    print("x" * 10_000, flush=True)
print("end", file=sys.stderr)
"""


def test_a_reader_that_ends_is_told_once_and_nothing_fails():
    reader, writer = os.pipe()
    os.close(reader)
    done = run(WRITES, writer)
    os.close(writer)
    assert done.returncode == 0
    told = "standard output cannot be written any more (Broken pipe): the run goes on without it"
    assert done.stderr.splitlines() == [told, "end"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_told_once_and_nothing_fails():
    with open("/dev/full", "w") as full:
        done = run(WRITES, full)
    assert done.returncode == 0
    assert "(No space left on device)" in done.stderr
    assert done.stderr.splitlines()[-1] == "end"
    assert len(done.stderr.splitlines()) == 2


def test_an_ascii_terminal_shows_what_it_can():
    done = run("print('1 ± 2')", subprocess.PIPE, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stdout) == (0, "1 ? 2\n")
