"""The peers' own code, where ``--peer`` says that it is, for cases beside those written after it.

Nothing of it is here, and nothing of it is changed: it is imported from where it lies.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

FILES = {
    "awd-lstm-lm": ["model.py", "splitcross.py", "utils.py"],
    "torchqrnn": ["torchqrnn/qrnn.py", "torchqrnn/forget_mult.py"],
}
VARIABLE = "BENCHMARKS_PEERS"  # in the environment, which the processes of the cases inherit


def folder(path):
    """The type of ``--peer``."""
    path = Path(path).resolve()
    if not any(holds(path, peer) for peer in FILES):
        expected = " nor ".join(f"{peer} ({', '.join(files)})" for peer, files in FILES.items())
        raise argparse.ArgumentTypeError(f"{path} contains neither {expected}: give a clone of one of them")
    return str(path)


def holds(path, peer):
    return all(Path(path, file).is_file() for file in FILES[peer])


def use(folders):
    """Here and in the processes of the cases."""
    os.environ[VARIABLE] = os.pathsep.join(folders)


def used():
    return list(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))


def itself(make, *peers):
    """The case of the first of `peers` as a dictionary, which is empty unless the code of all is there."""
    there = all(any(holds(path, peer) for path in used()) for peer in peers)
    return {f"{peers[0]} itself": make} if there else {}


def imported(name):
    """A peer's module. Only for the process of a case: elsewhere, another module may have so common a name.

    Of what it needs, all that is not installed is what torchqrnn imports for its kernel for GPUs, cupy and
    pynvrtc. No GPU is used here, so that empty stand-ins do.
    """
    sys.modules["cupy.cuda"] = SimpleNamespace(function=None)
    sys.modules["pynvrtc.compiler"] = SimpleNamespace(Program=None)
    sys.path[:0] = [path for path in used() if path not in sys.path]
    return importlib.import_module(name)
