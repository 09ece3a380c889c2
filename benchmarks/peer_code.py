"""Import the other projects' own code from the clones that ``--peer`` names.

None of that code is part of this repository, and none of it is changed.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace

FILES = {
    "awd-lstm-lm": ["model.py", "splitcross.py", "utils.py"],
    "torchqrnn": ["torchqrnn/qrnn.py", "torchqrnn/forget_mult.py"],
}
VARIABLE = "BENCHMARKS_PEERS"  # an environment variable, which the processes of the cases inherit


def folder(path: str) -> str:
    """Return the absolute path of a clone: the type of the option ``--peer``."""
    path = Path(path).resolve()
    if not any(holds(path, peer) for peer in FILES):
        expected = " nor ".join(f"{peer} ({', '.join(files)})" for peer, files in FILES.items())
        raise argparse.ArgumentTypeError(f"{path} contains neither {expected}: give a clone of one of them")
    return str(path)


def holds(path: str | Path, peer: str) -> bool:
    """Return whether the folder `path` has the files of `peer`."""
    return all(Path(path, file).is_file() for file in FILES[peer])


def use(folders: Iterable[str]) -> None:
    """Use the clones in `folders` in this process and in those of the cases."""
    os.environ[VARIABLE] = os.pathsep.join(folders)


def used() -> list[str]:
    """Return the folders of the clones in use."""
    return list(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))


def itself(make: Callable[[], object], *peers: str) -> dict[str, Callable[[], object]]:
    """Return {name: make} for the first of `peers`; {} unless the code of all of them is available."""
    available = all(any(holds(path, peer) for path in used()) for peer in peers)
    return {f"{peers[0]} itself": make} if available else {}


def imported(name: str) -> ModuleType:
    """Import a peer's module, only in the process of a case, since other modules may have the same name.

    torchqrnn imports cupy and pynvrtc for its GPU kernel. The benchmarks run it on a CPU only, where empty
    modules suffice.
    """
    sys.modules["cupy.cuda"] = SimpleNamespace(function=None)
    sys.modules["pynvrtc.compiler"] = SimpleNamespace(Program=None)
    sys.path[:0] = [path for path in used() if path not in sys.path]
    return importlib.import_module(name)
