"""Install everything into a virtual environment. `make` runs this; it returns at once if nothing has changed.

If the starting interpreter has a torch, that one is used and is never changed. This file needs only the
standard library. Each error is one sentence; the complete output of pip is in VENV/install.log.
"""

import argparse
import errno
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
KERNELS = runpy.run_path(str(ROOT / "lm_plugins/ops/cpu_sources.py"))["sources"]()
INPUTS = (
    "requirements.txt",
    "requirements-fairseq.txt",
    "setup.py",
    "tools/install.py",
    *(f"lm_plugins/ops/{path}" for path in KERNELS),
)
TORCH = "torch==2.13.0"
# The file that marks a folder which this script made and may replace. Its lines are the interpreter, which
# the Makefile reads, and the torch that was installed, which is the default of the next set-up.
OURS = "lm_plugins-environment"
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # what a file system without locks answers
NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Connection refused|"
    r"Temporary failure in name resolution|Network is unreachable"
)


def check_python(version: Sequence[int]) -> None:
    """Refuse versions of Python that are not supported."""
    if not (3, 11) <= tuple(version[:2]) < (3, 14):
        raise SystemExit(
            f"error: Python {version[0]}.{version[1]} is not supported: use one of 3.11 to 3.13, for example "
            "with make PYTHON=python3.12"
        )


def check_compiler(
    version: Sequence[int], machine: str, which: Callable[[str], str | None] = shutil.which
) -> None:
    """Refuse a machine without a compiler or headers, which fairseq needs unless there is a wheel.

    There is a wheel for Python 3.12 on x86-64 Linux.
    """
    if tuple(version[:2]) == (3, 12) and machine == "x86_64":
        return
    if not which(os.environ.get("CC", "cc")) or not which(os.environ.get("CXX", "c++")):
        raise SystemExit(
            f"error: no C++ compiler was found, which fairseq needs on Python {version[0]}.{version[1]}: "
            "install one (Debian: apt-get install g++), or use make PYTHON=python3.12, which has a wheel"
        )
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.exists():
        raise SystemExit(f"error: {header} is missing: install it (Debian: apt-get install python3-dev)")


def stamp(torch: str | None, root: Path = ROOT) -> str:
    """Return a file name that changes whenever the result of the set-up would change."""
    inputs = [sys.prefix, sys.version, torch or "borrowed torch"]
    inputs += [(root / name).read_text() for name in INPUTS]
    return "installed-" + hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]


def explain(command: list[str], output: str) -> str:
    """Return a sentence for a `command` that failed with `output`."""
    if NO_NETWORK.search(output):
        return "no package index can be reached: connect to the network, or set PIP_INDEX_URL to a mirror"
    return f"`{' '.join(command[2:6])} ...` failed: see the end of its output above"


class Environment:
    """The virtual environment at `path`, and a log of the commands that fill it."""

    def __init__(self, path: Path) -> None:
        self.path, self.log, self.began = path, path / "install.log", time.monotonic()
        self.python = path / "bin" / "python"

    def say(self, what: str) -> None:
        """Print `what` with the time since the start."""
        print(f"[{time.monotonic() - self.began:4.0f} s] {what}", flush=True)

    def create(self, torch: str) -> None:
        """Make the environment anew, and note what it is made from; refuse a folder of someone else.

        Args:
            torch: what pip installs; "" if torch is borrowed
        """
        if self.path.exists():
            if not (self.path / OURS).exists():
                raise SystemExit(
                    f"error: {self.path} was not made by this set-up and is left untouched: remove it, or "
                    "choose another folder with make VENV=..."
                )
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / OURS).write_text(f"{sys.executable}\n{torch}\n")
        self.say(f"making the virtual environment {self.path} with {sys.executable}")
        self.run([sys.executable, "-m", "venv", str(self.path)], "install python3-venv")

    def borrow(self, folder: Path) -> None:
        """Make the packages in `folder` importable; packages installed here take precedence."""
        self.say(f"using the torch in {folder}, which is not changed")
        site = next((self.path / "lib").glob("python*/site-packages"))
        (site / "borrowed.pth").write_text(f"{folder}\n")

    def pip(self, what: str, *arguments: str, **environ: str | None) -> None:
        """Say that `what` is being installed, and run ``pip install arguments``."""
        self.say(f"installing {what}")
        self.run([str(self.python), "-m", "pip", "install", "--retries", "2", *arguments], **environ)

    def run(self, command: list[str], hint: str | None = None, **environ: str | None) -> None:
        """Run `command`, and log its output; an `environ` value of None removes the variable.

        Raises:
            SystemExit: the command failed
        """
        environ = {name: value for name, value in {**os.environ, **environ}.items() if value is not None}
        done = subprocess.run(
            command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )  # fmt: skip
        with open(self.log, "a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}\n")
        if done.returncode:
            print("\n".join(done.stdout.strip().splitlines()[-8:]), file=sys.stderr)
            sentence = explain(command, done.stdout) + (f": {hint}" if hint else "")
            raise SystemExit(f"error: {sentence} (the complete output is in {self.log})")


def install(environment: Environment, torch: str, borrowed: Path | None) -> None:
    """Fill `environment` with `torch`, or the one in the folder `borrowed`, and with everything else."""
    environment.create("" if borrowed else torch)
    if borrowed:
        environment.borrow(borrowed)
    else:
        environment.pip(torch, *shlex.split(torch))
    environment.pip("the packages of requirements.txt", "-r", "requirements.txt")
    environment.pip(
        "fairseq-fixed, which is compiled where there is no wheel (some minutes)",
        "--no-deps", "--no-build-isolation",
        "--ignore-installed",  # not a borrowed one: fairseq looks for `--user-dir lm_plugins` next to itself
        "-r", "requirements-fairseq.txt",
        CFLAGS="-O1 -g0",
        CUDA_HOME=None,  # with it, fairseq would compile CUDA code that no language model uses
    )  # fmt: skip
    environment.pip("lm_plugins", "--no-deps", "--no-build-isolation", "-e", ".")


def torch_of(venv: Path) -> str:
    """Return what pip installed as torch into the environment `venv`; "" if that is not known."""
    lines = (venv / OURS).read_text().splitlines() if (venv / OURS).exists() else []
    return lines[1] if len(lines) > 1 else ""


def acquire(lock: TextIO) -> None:
    """Lock the open file `lock`; wait while another set-up holds it, and warn where there are no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another set-up is running here: waiting for it to end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(f"warning: {lock.name} cannot be locked: let only one set-up run here", flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument(
        "--torch", help=f"what pip installs, with pip's options (default: the last one, or {TORCH})"
    )
    options = parser.parse_args()
    venv = options.venv.absolute()
    if Path(sys.prefix).resolve() == venv.resolve():
        raise SystemExit(
            f"error: this is the interpreter of {venv} itself: run `deactivate`, and then make again"
        )
    check_python(sys.version_info)

    spec = importlib.util.find_spec("torch")
    borrowed = Path(spec.origin).parent.parent if spec else None

    def wanted() -> tuple[str, Path]:
        """Return the torch to install, and the file that marks the environment as complete."""
        torch = options.torch or torch_of(venv) or TORCH
        return torch, venv / stamp(None if borrowed else torch)

    if wanted()[1].exists():
        return
    check_compiler(sys.version_info, platform.machine())
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / f"{venv.name}.lock", "w") as lock:
        acquire(lock)
        torch, done = wanted()  # the set-up that held the lock may have chosen another torch
        if not done.exists():
            environment = Environment(venv)
            if torch not in (options.torch, TORCH) and not borrowed:
                environment.say(
                    f"torch is the one chosen before; to change it, run make setup TORCH='{TORCH}'"
                )
            install(environment, torch, borrowed)
            done.touch()
            environment.say("done")


if __name__ == "__main__":
    main()
