"""Install everything into a virtual environment. `make` runs this; it returns at once if nothing changed.

A torch that the starting interpreter has is used from where it is, and never changed. Standard
library only. Errors are one sentence; the complete output of pip is in VENV/install.log.
"""

import argparse
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
from pathlib import Path

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
# A file that marks a folder which this script made and may make anew. Its lines are the interpreter, which
# the Makefile reads, and the torch that was installed: the next set-up takes the same unless told otherwise.
OURS = "lm_plugins-environment"
NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Connection refused|"
    r"Temporary failure in name resolution|Network is unreachable"
)


def check_python(version):
    if not (3, 11) <= tuple(version[:2]) < (3, 14):
        raise SystemExit(
            f"error: Python {version[0]}.{version[1]} is not supported: give one of 3.11 to 3.13, "
            "make PYTHON=python3.12"
        )


def check_compiler(version, machine, which=shutil.which):
    """fairseq comes as a wheel for Python 3.12 on x86-64 Linux, and is compiled elsewhere."""
    if tuple(version[:2]) == (3, 12) and machine == "x86_64":
        return
    if not which(os.environ.get("CC", "cc")) or not which(os.environ.get("CXX", "c++")):
        raise SystemExit(
            f"error: no C++ compiler, which fairseq needs on Python {version[0]}.{version[1]}: install "
            "one (Debian: apt-get install g++), or take make PYTHON=python3.12, which has a wheel"
        )
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.exists():
        raise SystemExit(f"error: {header} is missing: install the headers (Debian: python3-dev)")


def stamp(torch, root=ROOT):
    """Return a file name that changes whenever the result of the set-up would."""
    parts = [sys.prefix, sys.version, torch or "borrowed torch"]
    parts += [(root / name).read_text() for name in INPUTS]
    return "installed-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def explain(command, output):
    """One sentence for a command that failed."""
    if NO_NETWORK.search(output):
        return "no package index can be reached: connect to the network, or set PIP_INDEX_URL to a mirror"
    return f"`{' '.join(command[2:6])} ...` failed, its last words are above"


class Environment:
    """The virtual environment at `path`, and a log of all that is run to fill it."""

    def __init__(self, path):
        self.path, self.log, self.began = path, path / "install.log", time.monotonic()
        self.python = path / "bin" / "python"

    def say(self, what):
        print(f"[{time.monotonic() - self.began:4.0f} s] {what}", flush=True)

    def create(self):
        if self.path.exists():
            if not (self.path / OURS).exists():
                raise SystemExit(
                    f"error: {self.path} was not made by this set-up and is left alone: remove it or "
                    "give another folder, make VENV=..."
                )
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / OURS).touch()
        self.say(f"virtual environment {self.path} for {sys.executable}")
        self.run([sys.executable, "-m", "venv", str(self.path)], "install python3-venv")

    def borrow(self, folder):
        """Makes the packages in `folder` importable here, behind those installed here."""
        self.say(f"torch is taken from {folder}, which stays as it is")
        site = next((self.path / "lib").glob("python*/site-packages"))
        (site / "borrowed.pth").write_text(f"{folder}\n")

    def pip(self, what, *arguments, **environ):
        self.say(what)
        self.run([str(self.python), "-m", "pip", "install", "--retries", "2", *arguments], **environ)

    def run(self, command, hint=None, **environ):
        environ = {name: value for name, value in {**os.environ, **environ}.items() if value is not None}
        done = subprocess.run(
            command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )  # fmt: skip
        with open(self.log, "a") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}\n")
        if done.returncode:
            print("\n".join(done.stdout.strip().splitlines()[-8:]), file=sys.stderr)
            sentence = explain(command, done.stdout) + (f": {hint}" if hint else "")
            raise SystemExit(f"error: {sentence} (all of it in {self.log})")


def install(environment, torch, borrowed):
    environment.create()
    if borrowed:
        environment.borrow(borrowed)
    else:
        environment.pip(torch, *shlex.split(torch))
    environment.pip("requirements.txt", "-r", "requirements.txt")
    environment.pip(
        "fairseq-fixed, compiled where there is no wheel (some minutes)",
        "--no-deps", "--no-build-isolation",
        "--ignore-installed",  # a borrowed fairseq: `--user-dir lm_plugins` is looked for beside fairseq
        "-r", "requirements-fairseq.txt",
        CFLAGS="-O1 -g0",
        CUDA_HOME=None,  # set, fairseq would compile CUDA parts that no language model uses
    )  # fmt: skip
    environment.pip("lm_plugins", "--no-deps", "--no-build-isolation", "-e", ".")


def torch_of(venv: Path) -> str:
    """Return what pip installed as torch into the environment `venv`; "" if that is not known."""
    lines = (venv / OURS).read_text().splitlines() if (venv / OURS).exists() else []
    return lines[1] if len(lines) > 1 else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument(
        "--torch", help=f"what pip installs, with pip's options; default: as before, or {TORCH}"
    )
    options = parser.parse_args()
    venv = options.venv.absolute()
    if Path(sys.prefix).resolve() == venv.resolve():
        raise SystemExit(
            f"error: this is the interpreter of {venv} itself: run `deactivate`, then make again"
        )
    check_python(sys.version_info)

    found = importlib.util.find_spec("torch")
    borrowed = Path(found.origin).parent.parent if found else None
    torch = options.torch or torch_of(venv) or TORCH
    done = stamp(None if borrowed else torch)
    if (venv / done).exists():
        return
    check_compiler(sys.version_info, platform.machine())

    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / f"{venv.name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up is at work here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (venv / done).exists():
            environment = Environment(venv)
            install(environment, torch, borrowed)
            (venv / OURS).write_text(f"{sys.executable}\n{'' if borrowed else torch}\n")
            (venv / done).touch()
            environment.say("done")


if __name__ == "__main__":
    main()
