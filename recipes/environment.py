"""Describe the environment of a stage: the command, the commit, the versions, the hardware and the time.

python -m recipes.environment FOLDER COMMAND...

prints the description as JSON. FOLDER is the folder in which the COMMAND was typed.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from recipes.processes import piped

PACKAGES = ("torch", "fairseq-fixed", "numpy", "sentencepiece")


def git(*arguments: str) -> str | None:
    """Return the output of git in this repository; None without git or a repository."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def commit() -> str | None:
    """Return the commit of this file; None where it is only installed in a folder of another repository."""
    return git("rev-parse", "HEAD") if git("ls-files", "--error-unmatch", __file__) else None


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


def hardware(command: list[str]) -> str:
    """Return the GPUs, or the processor if there is none or the `command` does not use them."""
    import torch

    if torch.cuda.is_available() and "--cpu" not in command:
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{os.cpu_count()} x {processor()}"


def read_environment(folder: str, command: list[str]) -> dict[str, Any]:
    """Return the environment of a stage; a separate process queries the GPUs, so that this one can fork."""
    with piped([sys.executable, "-m", "recipes.environment", folder, *command], stderr=DEVNULL) as process:
        return json.loads(process.stdout.read())


def main() -> None:
    """Run the command line."""
    folder, *command = sys.argv[1:]
    environment = {
        "command": shlex.join(command),
        "folder": folder,
        "commit": commit(),
        "changed files": (git("status", "--porcelain") or "").splitlines() if commit() else [],
        **versions(),
        "hardware": hardware(command),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    print(json.dumps(environment))


if __name__ == "__main__":
    main()
