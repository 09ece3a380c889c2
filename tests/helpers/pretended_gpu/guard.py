"""Build and load guard.cpp."""

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("guard.cpp")


def torch_folder() -> Path:
    """Return the folder of torch, without importing it."""
    return Path(importlib.util.find_spec("torch").origin).parent


def build(library: Path) -> None:
    """Compile guard.cpp into `library`, which takes five seconds.

    Raises:
        FileNotFoundError: there is no g++.
        subprocess.CalledProcessError: the compiler fails.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise FileNotFoundError("the pretended GPU needs g++")
    include = torch_folder() / "include"
    flags = ["-O1", "-shared", "-fPIC", "-std=c++20", f"-I{include}", f"-I{include}/torch/csrc/api/include"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(library)], check=True, capture_output=True)


def load(library: Path) -> None:
    """Load `library` into this process. torch must not have been imported: it asks for its devices once."""
    ctypes.CDLL(str(torch_folder() / "lib" / "libtorch_cpu.so"), ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
