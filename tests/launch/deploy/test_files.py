"""The files of `srwm deploy`, filled in, against the schemas of those who read them."""

import shlex
import shutil
import subprocess

import pytest
import yaml
from jsonschema import Draft7Validator
from ray.autoscaler._private.util import prepare_config, validate_config

from launch.config.source import load_config
from launch.deploy.files import FILES, fill_in
from tests.launch.deploy.schema import POD, RAY_JOB
from tests.launch.runs import main

CONFIG = "paper-easy6"


def filled(kind, *overrides, config=CONFIG, nodes=3, cpus=8, **chosen):
    return fill_in(kind, config, overrides, nodes, cpus, chosen)


def documents(text):
    return list(yaml.safe_load_all(text))


@pytest.fixture
def ray_job():
    claim, job = documents(filled("kuberay", image="example.org/srwm:1"))
    assert claim["kind"] == "PersistentVolumeClaim"
    return job


def command_in(text):
    """The arguments of `srwm train` in the text."""
    line = next(line for line in text.splitlines() if line.strip(" #").startswith("srwm train"))
    return shlex.split(line.strip(" #\\"))[2:]


@pytest.mark.parametrize("kind", FILES)
def test_the_run_that_a_file_starts_is_the_one_that_was_asked_for(kind):
    config, *overrides = command_in(filled(kind, "seed=3", "imports=[]", "learner.devices=2"))
    assert overrides.pop() == "--auto-resume"
    run = load_config(config, overrides)
    assert (run.seed, run.learner.devices) == (3, 2)
    assert run.launch.workers == 3 * 8  # a CPU each
    assert run.run_dir.endswith("runs/srwm-paper-easy6")


@pytest.mark.parametrize("kind", FILES)
def test_what_the_user_sets_stays(kind):
    _, *overrides = command_in(filled(kind, "launch.workers=5", "run_dir=/big disk/x"))
    assert overrides[:2] == ["launch.workers=5", "run_dir=/big disk/x"]
    assert not any(each.startswith(("run_dir", "launch.workers")) for each in overrides[2:])


@pytest.mark.parametrize("kind", FILES)
def test_no_placeholder_is_left(kind):
    text = filled(kind)
    assert "{{" not in text


def test_ray_up_accepts_its_file():
    (cluster,) = documents(filled("ray-up", "learner.devices=4", gpu_nodes="g6.12xlarge"))
    cluster = prepare_config(cluster)
    validate_config(cluster)
    head, workers = cluster["available_node_types"]["gpu"], cluster["available_node_types"]["cpu"]
    assert cluster["head_node_type"] == "gpu"
    assert head["node_config"]["InstanceType"] == "g6.12xlarge"
    # No CPU of the head is left for a worker.
    assert head["resources"] == {"CPU": 4, "GPU": 4}
    assert workers["resources"] == {"CPU": 8}
    assert (workers["min_workers"], workers["max_workers"], cluster["max_workers"]) == (0, 3, 3)


def test_ray_up_starts_ray_with_a_token_and_a_dashboard_of_its_own_node_only():
    (cluster,) = documents(filled("ray-up"))
    assert "--env=RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert cluster["file_mounts"]["/root/.ray/auth_token"] == "~/.ray/auth_token"
    (start,) = [each for each in cluster["head_start_ray_commands"] if "--head" in each]
    assert "--dashboard-host=127.0.0.1" in start.split()


def test_kuberay_accepts_its_manifest(ray_job):
    Draft7Validator(RAY_JOB).validate(ray_job)
    cluster = ray_job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        Draft7Validator(POD).validate(group["template"]["spec"])


@pytest.mark.parametrize(
    "path, key",
    [
        ((), "jobID"),
        (("rayClusterSpec",), "authOption"),
        (("rayClusterSpec", "headGroupSpec"), "replicas"),
        (("rayClusterSpec", "workerGroupSpecs", 0), "maxReplica"),
    ],
)
def test_the_schema_refuses_a_key_that_the_operator_would_drop(ray_job, path, key):
    node = ray_job["spec"]
    for step in path:
        node = node[step]
    node[key] = 1
    assert not Draft7Validator(RAY_JOB).is_valid(ray_job)


def test_kuberay_places_learners_on_gpus_and_workers_elsewhere(ray_job):
    cluster = ray_job["spec"]["rayClusterSpec"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (worker,) = cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    assert head["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "1"}
    assert worker["resources"]["limits"] == {"cpu": "8", "memory": "16Gi"}
    assert {head["image"], worker["image"]} == {"example.org/srwm:1"}


def test_kuberay_asks_for_a_token_and_keeps_the_runs(ray_job):
    assert ray_job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    head = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    (mount,) = head["containers"][0]["volumeMounts"]
    (volume,) = head["volumes"]
    assert mount["name"] == volume["name"]
    run_dir = next(each for each in ray_job["spec"]["entrypoint"].split() if "run_dir=" in each)
    assert run_dir.removeprefix("run_dir=").startswith(mount["mountPath"] + "/")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_in_the_slurm_script():
    checked = subprocess.run(
        ["shellcheck", "-"], input=filled("slurm"), capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("nomad", CONFIG), "'nomad'"),
        (("slurm", "no-such-config"), "'no-such-config'"),
        (("slurm", CONFIG, "seed=x"), "seed"),
        (("slurm", CONFIG, "launch.mode=local"), "launch.mode"),
        (("slurm", CONFIG, "launch.address=auto"), "launch.address auto"),
        (("slurm", CONFIG, "--image", "srwm:1"), "--image srwm:1"),
        (("kuberay", CONFIG, "--image", "x; rm -rf /"), "--image 'x; rm -rf /'"),
        (("kuberay", CONFIG, "--cpus", "0"), "--cpus"),
        (("slurm", CONFIG, "--out", "no/such/folder"), "--out no/such/folder"),
    ],
)
def test_what_cannot_be_filled_in_is_one_line(arguments, named, capsys):
    assert main("deploy", *arguments) == 2
    out, err = capsys.readouterr()
    assert named in err and err.count("\n") == 1
    assert out == ""


def test_out_writes_what_is_printed(empty_folder, capsys):
    assert main("deploy", "slurm", CONFIG, "--gpu-nodes", "a100") == 0
    printed = capsys.readouterr().out
    assert "--partition=a100 --nodes=1" in printed
    assert main("deploy", "slurm", CONFIG, "--gpu-nodes", "a100", "--out", "job.sbatch") == 0
    assert (empty_folder / "job.sbatch").read_text() == printed
