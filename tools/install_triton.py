"""Install Triton for the tests of the GPU kernels; `make test` runs this with the environment's interpreter.

A torch for GPUs brings its own Triton, which is not changed. On other systems than Linux on x86-64, and where
it cannot be installed, those tests are skipped.
"""

import importlib.util
import platform
import subprocess
import sys

TRITON = "triton==3.7.0"  # that of torch 2.13


def main() -> None:
    """Install it where it is missing."""
    if importlib.util.find_spec("triton") or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return
    print(f"{TRITON}, for the tests of the GPU kernels", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", TRITON]
    if subprocess.run(command).returncode:
        print(f"{TRITON} cannot be installed: the tests of the GPU kernels are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
