"""Pack every wheel that srwm needs beyond torch, for a machine without internet.

    python launch/deploy/offline/bundle.py --python python3.12 --part-size 60 bundle/

The folder then holds the parts of one archive, their checksums and `install.py`, which on the other
side needs nothing but Python and pip.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    """Build the bundle that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Text)
    parser.add_argument("folder", type=Path, help="made if need be; must be empty")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="COMMAND",
        help="an interpreter of the version that runs on the other side (default: this one)",
    )
    parser.add_argument(
        "--part-size", type=int, default=1000, metavar="MB", help="of a part, at most (1000)"
    )
    arguments = parser.parse_args()
    if arguments.part_size < 1:
        parser.error(f"--part-size {arguments.part_size}: at least 1 MB")
    if shutil.which(arguments.python) is None:
        parser.error(f"--python {arguments.python}: there is no such command")
    if arguments.folder.exists() and (
        not arguments.folder.is_dir() or any(arguments.folder.iterdir())
    ):
        parser.error(f"{arguments.folder} is there already and not an empty folder")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bundle(arguments.folder, arguments.python, arguments.part_size * 1_000_000)


def bundle(folder: Path, python: str, part_size: int) -> None:
    """Write `srwm.tar.000`, ... of at most `part_size` bytes, SHA256SUMS and install.py."""
    with tempfile.TemporaryDirectory() as work:
        wheels = Path(work, "wheels")
        build_wheels(wheels, python, Path(work))
        archive = Path(work, "srwm.tar")
        with tarfile.open(archive, "w") as tar:  # wheels are compressed already
            for wheel in sorted(wheels.iterdir()):
                tar.add(wheel, wheel.name)
        parts = cut(archive, folder, part_size)
    sums = [f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n" for part in parts]
    (folder / "SHA256SUMS").write_text("".join(sums))
    shutil.copy(Path(__file__).with_name("install.py"), folder)
    size = sum(part.stat().st_size for part in parts) / 1e6
    print(f"{folder}: {len(parts)} parts, {size:.0f} MB; there: python install.py TARGET")


def build_wheels(wheels: Path, python: str, work: Path) -> None:
    """Download or build the wheels of all requirements but torch, and of srwm itself.

    The other Python's own pip does it, because only it evaluates every package's conditions on the
    version (`; python_version < "3.11"`) for that version.
    """
    environment = os.environ | {"PIP_CONSTRAINT": os.fspath(ROOT / "constraints.txt")}
    subprocess.run([python, "-m", "venv", work / "venv"], check=True)
    pip: list[str | Path] = [
        work / "venv/bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
    ]
    pip += ["--use-pep517", "--wheel-dir", wheels]
    subprocess.run([*pip, *requirements()], check=True, env=environment)
    subprocess.run([*pip, "--no-deps", ROOT], check=True, env=environment)


def requirements() -> list[str]:
    """Return what the package requires, without torch: the node has one that fits its driver."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    return [line for line in wanted if not line.startswith("torch")]


def cut(archive: Path, folder: Path, part_size: int) -> list[Path]:
    """Cut a file into numbered parts of at most `part_size` bytes."""
    parts: list[Path] = []
    with archive.open("rb") as file:
        while piece := file.read(part_size):
            part = folder / f"{archive.name}.{len(parts):03}"
            part.write_bytes(piece)
            parts.append(part)
    return parts


class _Text(argparse.RawDescriptionHelpFormatter):
    """Keep the line breaks of the description."""


if __name__ == "__main__":
    main()
