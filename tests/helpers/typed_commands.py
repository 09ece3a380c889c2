"""Let a shell run fairseq's commands as a user types them, without their eight seconds of start-up.

A folder of commands (`fairseq-train`, `torchrun`, `python`, ...) goes to the front of the shell's PATH. Each
of them asks the tests' process to fork the program from the warm server of :mod:`tests.helpers.runner`, with
the arguments, folder, environment and standard streams that the shell gave to the command.
"""

import importlib
import os
import runpy
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from tests.helpers.runner import end_with, free_port, server

PROGRAMS = ("train", "eval-lm", "preprocess", "generate", "interactive")
ASK = """#!{python} -IS
import os, sys
from multiprocessing.connection import Client
with Client({address!r}) as tests:
    tests.send((sys.argv, os.getcwd(), dict(os.environ), os.getpid()))
    sys.exit(tests.recv())
"""


def main(argv: list[str]) -> None:
    """Run the program `argv`: python with a module, code or its standard input, or one of fairseq's."""
    name, sys.argv = Path(argv[0]).name, argv
    if name != "python":
        importlib.import_module("fairseq_cli." + name.removeprefix("fairseq-").replace("-", "_")).cli_main()
    elif argv[1] == "-m":
        sys.argv = argv[2:]
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    elif argv[1] == "-c":
        exec(argv[2], {"__name__": "__main__"})
    else:
        assert argv[1:] == ["-"], f"{argv}: only python -m MODULE, -c CODE and - are known here"
        sys.argv = ["-"]
        exec(sys.stdin.read(), {"__name__": "__main__"})


def become(argv: list[str], folder: str, environ: dict, pid: int) -> None:
    """Run the program `argv` in place of the process `pid`, whose streams are taken."""
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        os.dup2(os.open(f"/proc/{pid}/fd/{number}", mode | os.O_APPEND), number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.chdir(folder)
    sys.path.insert(0, folder)
    os.environ.clear()
    os.environ.update(environ)
    end_with(lambda: main(argv))


def ranks(argv: list[str], environ: dict) -> list[tuple[list[str], dict]]:
    """Return the program and the environment of each process that the command `argv` starts."""
    if Path(argv[0]).name != "torchrun":
        return [(argv, environ)]
    flag, world, *program = argv[1:]
    assert flag == "--nproc-per-node", argv
    shared = {**environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": world}
    return [(program, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(int(world))]


def answer(command: Connection, typed: tuple[list[str], str, dict, int]) -> None:
    """Run the program that was typed, and send its status."""
    argv, folder, environ, pid = typed
    with command:
        started = [
            server.Process(target=become, args=(program, folder, its_environ, pid))
            for program, its_environ in ranks(argv, environ)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
        command.send(max(abs(process.exitcode) for process in started))


def serve(listener: Listener) -> None:
    """Answer commands, which may be the parts of a pipeline, until one is None."""
    while True:
        command = listener.accept()
        if (typed := command.recv()) is None:
            return
        threading.Thread(target=answer, args=(command, typed), daemon=True).start()


def write_script(path: Path, text: str) -> None:
    """Write `text` to `path`, and make it executable."""
    path.write_text(text)
    path.chmod(0o755)


@contextmanager
def typed_commands(folder: Path) -> Iterator[None]:
    """Fill `folder`, a new bin/ of an environment: fairseq's commands, torchrun, python and activate."""
    folder.mkdir(parents=True)
    address = str(folder / "tests")
    for name in (*(f"fairseq-{program}" for program in PROGRAMS), "torchrun", "python"):
        write_script(folder / name, ASK.format(python=sys.executable, address=address))
    (folder / "activate").write_text(f"PATH={shlex.quote(str(folder))}:$PATH\n")
    with Listener(address) as listener:
        answering = threading.Thread(target=serve, args=(listener,), daemon=True)
        answering.start()
        yield
        with Client(address) as client:
            client.send(None)
        answering.join()
