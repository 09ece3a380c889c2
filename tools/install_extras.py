"""Install the optional packages of requirements-extras.txt; `make extras` and `make test` run this.

Run it with the interpreter of the environment. A package that is already installed, such as the Triton that
comes with a torch for GPUs, is not changed. If a package cannot be installed, a line says so; programs that
need it then stop with an error, and tests that need it are skipped.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

EXTRAS = Path(__file__).resolve().parent.parent / "requirements-extras.txt"


def is_installed(name: str) -> bool:
    """Return whether any version of the package `name` is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Install the missing packages one at a time, so that a failure affects only one of them."""
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
        print(f"installing {line}", flush=True)
        if subprocess.run(command).returncode:
            print(f"{line} cannot be installed: tests that need it are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
