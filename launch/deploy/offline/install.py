"""Install the bundle that this file lies in, without internet, into a folder of its own.

    python install.py TARGET
    PYTHONPATH=TARGET python -m launch doctor

What is in TARGET goes before what is installed on the node (its numpy 2, for example), and nothing
on the node is changed. torch is the node's own.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Install into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path, help="a folder; made if need be")
    target = parser.parse_args().target
    try:
        parts = [(HERE / name, sha) for sha, name in sums()]
        for part, sha in parts:
            check(part, sha)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    with tempfile.TemporaryDirectory() as work:
        unpack([part for part, _ in parts], Path(work))
        wheels = sorted(Path(work).glob("*.whl"))
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-index"]
        # --no-deps: the bundle is complete but for torch, which the node has.
        done = subprocess.run([*pip, "--no-deps", "--upgrade", "--target", target, *wheels])
    if done.returncode:
        raise SystemExit("error: pip could not install the wheels: are they for this Python?")
    print(f"installed {len(wheels)} packages; now: PYTHONPATH={target} python -m launch doctor")


def sums() -> Iterator[tuple[str, str]]:
    """Yield (checksum, file name) of each part, in order."""
    for line in (HERE / "SHA256SUMS").read_text().splitlines():
        sha, name = line.split()
        yield sha, name


def check(part: Path, sha: str) -> None:
    """Raise ValueError if a part is not what was packed."""
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    if digest != sha:
        raise ValueError(f"{part} is damaged: its SHA-256 is {digest}, not {sha}")


def unpack(parts: list[Path], folder: Path) -> None:
    """Join the parts and extract the wheels."""
    archive = folder / "srwm.tar"
    with archive.open("wb") as whole:
        for part in parts:
            whole.write(part.read_bytes())
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and "/" not in member.name:
                tar.extract(member, folder)
    archive.unlink()


if __name__ == "__main__":
    main()
