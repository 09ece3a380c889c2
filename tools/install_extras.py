"""Install the optional packages of requirements-extras.txt; `make extras` and `make test` run this.

The interpreter is the environment's. A package that is there, such as the Triton of a torch for GPUs, is not
changed. Where one cannot be installed, a line says so: what needs it is refused, and its tests are skipped.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

EXTRAS = Path(__file__).resolve().parent.parent / "requirements-extras.txt"


def is_installed(name: str) -> bool:
    """Return whether a package of this name is there, in any version."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Install what is missing, one package at a time, so that one failure costs one package."""
    lines = (line.split("#")[0].strip() for line in EXTRAS.read_text().splitlines())
    missing = [line for line in lines if line and not is_installed(line.split("==")[0])]
    for line in missing:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            line,
        ]
        print(line, flush=True)
        if subprocess.run(command).returncode:
            print(f"{line} cannot be installed: tests that need it are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
