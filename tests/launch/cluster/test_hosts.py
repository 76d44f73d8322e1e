"""The cluster page, followed word for word on four hosts: a head, two nodes and a laptop.

The hosts are namespaces, see `tests.launch.cluster.hosts`. What is typed stands on the page; the
tables here say what is typed otherwise, because these hosts are small.
"""

import importlib.util
import re
import time

import pytest

from learners import checkpoint as store
from tests.launch.cluster import hosts, ssh
from tests.launch.runs import ROOT, checkpoint, checkpoints, rows

WHY_NOT = hosts.missing() or (
    None if importlib.util.find_spec("aiohttp") else "not installed: the extra `cluster`"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT)),
]

PAGE = (ROOT / "docs" / "howto" / "cluster.md").read_text()
BY_HAND = re.search(r"## By hand\n(.*?)\n## ", PAGE, re.DOTALL)[1]
_, TOKEN, HEAD, NODE, SUBMIT, LAPTOP, _WATCH, STOP = re.findall(
    r"```sh\n(.*?)```", BY_HAND, re.DOTALL
)
# One node has one CPU here, and the network is small.
SMALL_NODE = {"ray start": "ray start --num-cpus=1"}
SMALL_RUN = {
    "launch.workers=16": "launch.workers=2 launch.envs_per_worker=6 launch.learner_threads=1 "
    "envs.tasks=[bigfish] agent.encoder=impala_small agent.core=lstm agent.lstm.hidden_size=16 "
    "learner.unroll_length=20 learner.batch_size=6 log_every_frames=240 "
    "checkpoint.every_frames=1_000_000_000",
}
JOIN = "srwm train paper-easy6 launch.address=192.0.2.2:6379"


def typed(block, changes=()):
    """Return the lines of the page, with some words changed."""
    for old, new in dict(changes).items():
        assert old in block, old
        block = block.replace(old, new)
    return block


def succeeds(host, script, **changes):
    status, text = host.enter(script, **changes)
    assert status == 0, text
    return text


class Run:
    """The run of the page, as its folder on the head shows it."""

    def __init__(self, head):
        self.head = head
        self.folder = head.home / "runs" / "easy6"

    def frames(self):
        try:
            return rows(self.folder)[-1]["frames"]
        except (OSError, ValueError, IndexError):
            return 0

    def restarts(self):
        return rows(self.folder)[-1].get("faults/worker_restarts", 0)

    def goes_on(self):
        before = self.frames()
        self.wait_until(lambda: self.frames() > before + 1_000)

    def wait_until(self, condition, seconds=180):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.head.enter("ray job logs easy6")[1]
            time.sleep(0.5)


@pytest.fixture(scope="module")
def network():
    """A laptop, a head and two nodes that run Ray, as after step 3 of the page."""
    with hosts.network("laptop", "gpu1", "cpu1", "cpu2") as net:
        _, gpu1, cpu1, cpu2 = net
        ssh.install(gpu1.home.parent)
        gpu1.start("python", "-m", "tests.launch.cluster.ssh", "serve")
        for host in (cpu1, cpu2):
            succeeds(host, "mkdir -p ~/.ray")  # "after `mkdir -p ~/.ray` on cpu1"
        succeeds(gpu1, TOKEN)
        succeeds(gpu1, "scp -p ~/.ray/auth_token cpu2:.ray/")
        succeeds(gpu1, HEAD)
        for host in (cpu1, cpu2):
            succeeds(host, typed(NODE, SMALL_NODE))
        yield net


@pytest.fixture(scope="module")
def run(network):
    """The run, submitted from the laptop: it reaches the job server through SSH only."""
    laptop, gpu1, *_ = network
    *fetch, forward = LAPTOP.splitlines()
    succeeds(laptop, "\n".join(fetch))
    laptop.start("bash", "-c", forward)
    succeeds(laptop, "export RAY_AUTH_MODE=token")
    succeeds(laptop, typed(SUBMIT, SMALL_RUN))
    run = Run(gpu1)
    run.wait_until(lambda: run.frames() > 0)
    return run


def workers(host):
    """Return how many rollout workers run on a host."""
    return int(host.enter("pgrep --count --full ^ray::WorkerActor")[1])


@pytest.mark.parametrize(
    "token", ["RAY_AUTH_TOKEN=wrong", "HOME=/nowhere"], ids=["wrong", "missing"]
)
def test_who_has_not_the_token_gets_one_line(run, network, token):
    _, _, cpu1, _ = network
    assert f"`{JOIN}`" in BY_HAND
    status, text = cpu1.enter(f"{token} {JOIN} launch.mode=ray run_dir={cpu1.home}/refused")
    assert status == 2, text
    assert text.startswith("srwm: launch.address: cannot join a Ray cluster at '192.0.2.2:6379'")
    assert "it asks for a token, and the one here is missing or wrong" in text
    assert text.count("\n") == 1
    assert not (cpu1.home / "refused").exists()


def test_the_job_server_refuses_who_has_not_the_token(run, network):
    laptop, _, cpu1, _ = network
    status, text = laptop.enter("RAY_AUTH_TOKEN=wrong ray job list")
    assert status != 0
    assert "Authentication failed: Forbidden" in text
    assert "| `Authentication failed: Forbidden` from `ray job` |" in PAGE
    # It is not there at all for who has not come through SSH.
    script = "import socket; socket.create_connection(('192.0.2.2', 8265), 5)"
    status, text = cpu1.enter(f'python -c "{script}"')
    assert status == 1
    assert "ConnectionRefusedError" in text


def test_a_host_that_is_cut_off_is_done_without_and_taken_back(run, network):
    laptop, _, cpu1, cpu2 = network
    run.wait_until(lambda: workers(cpu1) == workers(cpu2) == 1)
    laptop.ip("link set cpu1 down")
    time.sleep(3)
    laptop.ip("link set cpu1 up")
    run.goes_on()
    assert run.restarts() == 0  # it was not missed
    laptop.ip("link set cpu1 down")
    run.wait_until(lambda: run.restarts() == 1)
    run.goes_on()  # with the other worker
    laptop.ip("link set cpu1 up")
    # Ray on the host learns that it counts as dead, and ends.
    run.wait_until(lambda: cpu1.enter("pgrep --full raylet/raylet")[0] == 1)
    succeeds(cpu1, typed(NODE, SMALL_NODE))
    run.wait_until(lambda: workers(cpu1) == 1)
    run.goes_on()
    assert run.restarts() == 1


def saved_on_stop(run, job):
    """Stop a job as the page does; return what its log says and the frames that are saved."""
    succeeds(run.head, "export RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265")
    succeeds(run.head, typed(STOP, {"easy6": job}))
    assert "was stopped" in succeeds(run.head, f"ray job status {job}")
    log = " ".join(succeeds(run.head, f"ray job logs {job}").split())
    assert "SIGTERM: saving" in log
    frames = checkpoints(run.folder)[-1]
    assert store.load(checkpoint(run.folder, frames))["learner"]["frames"] == frames
    return log, frames


def test_a_job_that_is_stopped_saves_within_the_grace_of_ray_whatever_the_learner_does(
    run, network
):
    before = run.frames()
    log, saved = saved_on_stop(run, "easy6")
    assert saved >= before
    assert "saved " in log and log.endswith(f"run folder: {run.folder}")  # its last word
    # "Submit the same line with another `--submission-id`."
    succeeds(run.head, typed(SUBMIT, {**SMALL_RUN, "submission-id easy6": "submission-id again"}))
    run.wait_until(lambda: run.frames() > saved)
    succeeds(run.head, "pkill --signal STOP --full ^ray::LearnerActor")  # an update without end
    log, again = saved_on_stop(run, "again")
    assert again >= saved
    assert "stopped without waiting for the update; continue it with: srwm train --resume" in log
