"""Let a shell run fairseq's commands as a user types them, without their eight seconds of start-up.

A folder of commands (`fairseq-train`, `torchrun`, ...) goes to the front of the shell's PATH. Each of them
asks the tests' process to fork the program from the warm server of :mod:`tests.runner`, with the
arguments, folder, environment and standard streams that the shell gave to the command.
"""

import os
import shlex
import sys
import threading
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from pathlib import Path

from tests.runner import call, free_port, server

PROGRAMS = ("train", "eval-lm", "generate", "interactive")
ASK = """#!{python} -IS
import os, sys
from multiprocessing.connection import Client
with Client({address!r}) as tests:
    tests.send((sys.argv, os.getcwd(), dict(os.environ), os.getpid()))
    sys.exit(tests.recv())
"""


def become(argv: list[str], folder: str, environ: dict, pid: int):
    """Run fairseq's program `argv` in place of the process `pid`, whose streams are taken."""
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        os.dup2(os.open(f"/proc/{pid}/fd/{number}", mode), number)
    sys.stdin = os.fdopen(0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = argv
    call(Path(argv[0]).name.removeprefix("fairseq-"))


def ranks(argv: list[str], environ: dict) -> list[tuple[list[str], dict]]:
    """Return the program and the environment of each process that the command `argv` starts."""
    if Path(argv[0]).name != "torchrun":
        return [(argv, environ)]
    flag, world, *program = argv[1:]
    assert flag == "--nproc-per-node", argv
    shared = {**environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": world}
    return [(program, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(int(world))]


def serve(listener: Listener):
    """Answer commands one after the other, each with the status of its program, until one is None."""
    while True:
        with listener.accept() as command:
            if (typed := command.recv()) is None:
                return
            argv, folder, environ, pid = typed
            started = [
                server.Process(target=become, args=(program, folder, its_environ, pid))
                for program, its_environ in ranks(argv, environ)
            ]
            for process in started:
                process.start()
            for process in started:
                process.join()
            command.send(max(abs(process.exitcode) for process in started))


def write_script(path: Path, text: str):
    """Write `text` to `path`, and make it executable."""
    path.write_text(text)
    path.chmod(0o755)


@contextmanager
def typed_commands(folder: Path):
    """Fill `folder`, a new bin/ of an environment: fairseq's commands, torchrun, python and activate."""
    folder.mkdir(parents=True)
    address = str(folder / "tests")
    for name in (*(f"fairseq-{program}" for program in PROGRAMS), "torchrun"):
        write_script(folder / name, ASK.format(python=sys.executable, address=address))
    write_script(folder / "python", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "activate").write_text(f"PATH={shlex.quote(str(folder))}:$PATH\n")
    with Listener(address) as listener:
        answering = threading.Thread(target=serve, args=(listener,), daemon=True)
        answering.start()
        yield
        with Client(address) as client:
            client.send(None)
        answering.join()
