"""Record what an experiment is run with: the command, the commit, the versions and the hardware.

python -m recipes.environment FILE FOLDER COMMAND...

FOLDER is the folder in which the COMMAND was typed.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "fairseq-fixed", "numpy", "sentencepiece")


def git(*arguments: str) -> str | None:
    """Return the output of git in this repository; None without git or a repository."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of PACKAGES; None for a package that is not installed."""
    result: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            result[package] = None
    return result


def processor() -> str:
    """Return the name of the processor's model, or of its architecture."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def hardware() -> str:
    """Return the GPUs, or the processor if there is none."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} x {processor()}"


def main() -> None:
    """Run the command line."""
    path, folder, *command = sys.argv[1:]
    environment = {
        "command": shlex.join(command),
        "folder": folder,
        "commit": git("rev-parse", "HEAD"),
        "changed files": (git("status", "--porcelain") or "").splitlines(),
        **versions(),
        "hardware": hardware(),
    }
    with open(path, "w") as file:
        json.dump(environment, file, indent=1)


if __name__ == "__main__":
    main()
