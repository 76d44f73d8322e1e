"""The offline bundle: its parts, and what `install.py` does with them; no network."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from launch.deploy.offline.bundle import cut, requirements
from launch.deploy.offline.install import check, unpack

INSTALL = Path(__file__).parents[3] / "launch" / "deploy" / "offline" / "install.py"


def _wheel(folder: Path, name: str) -> Path:
    """Write a valid wheel of one module that holds its own name."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"NAME = {name!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder with two wheels in parts of 300 bytes, as `bundle` leaves them."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    archive = tmp_path / "srwm.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("left", "right"):
            wheel = _wheel(tmp_path, name)
            tar.add(wheel, wheel.name)
    parts = cut(archive, folder, 300)
    sums = [f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n" for part in parts]
    (folder / "SHA256SUMS").write_text("".join(sums))
    (folder / "install.py").write_text(INSTALL.read_text())
    return folder


def test_parts_are_no_larger_than_asked_and_join_to_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "srwm.tar"
    archive.write_bytes(bytes(range(256)) * 4)
    parts = cut(archive, tmp_path, 300)
    assert [part.stat().st_size for part in parts] == [300, 300, 300, 124]
    assert b"".join(part.read_bytes() for part in sorted(parts)) == archive.read_bytes()


def test_torch_is_left_to_the_node() -> None:
    names = requirements()
    assert not [name for name in names if name.startswith("torch")]
    assert any(name.startswith("numpy>=1.26,<2") for name in names)
    assert any(name.startswith("ray") for name in names)


def test_installs_into_a_folder_without_an_index(packed: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    done = subprocess.run(
        [sys.executable, packed / "install.py", target], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    code = "import left, right; print(left.NAME, right.NAME)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "left right\n"


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_part_is_named_and_nothing_installed(
    packed: Path, tmp_path: Path, damage: str
) -> None:
    part = packed / "srwm.tar.001"
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(b"x" + part.read_bytes()[1:])
    target = tmp_path / "target"
    done = subprocess.run(
        [sys.executable, packed / "install.py", target], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "srwm.tar.001" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not target.exists()


def test_check_accepts_what_was_packed(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"abc")
    check(part, hashlib.sha256(b"abc").hexdigest())
    with pytest.raises(ValueError, match="damaged"):
        check(part, hashlib.sha256(b"abd").hexdigest())


def test_unpack_leaves_alone_what_lies_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "evil").write_text("x")
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "evil", "../escaped.whl")
        tar.add(tmp_path / "evil", "good.whl")
    folder = tmp_path / "out"
    folder.mkdir()
    unpack([archive], folder)
    assert [path.name for path in folder.iterdir()] == ["good.whl"]
    assert not (tmp_path / "escaped.whl").exists()
