"""Run fairseq's commands as a user does, each in its own process.

The processes are forked from a server that has imported torch and fairseq (tests/helpers/preload.py), but not
the plug-in, which nothing here may import. A run starts in a fraction of a second instead of eight seconds,
and is otherwise the same.
"""

import atexit
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent.parent
PLUGIN = str(ROOT / "lm_plugins")
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["tests.helpers.preload"])


@dataclass
class Finished:
    """The exit status and the whole output of a run."""

    status: int
    output: str

    def error(self) -> str:
        """Return the last line, in which the user reads what went wrong."""
        return self.output.strip().splitlines()[-1]


def _main(program: str, arguments: list[str], environ: dict[str, str], log: str) -> NoReturn:
    """Run a program of fairseq in this process, with its output going to the file `log`."""
    sys.stdout.flush(), sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    os.environ.update(environ)
    sys.argv = [f"fairseq-{program}", *arguments]
    end_with(lambda: importlib.import_module("fairseq_cli." + program.replace("-", "_")).cli_main())


def end_with(main: Callable[[], object]) -> NoReturn:
    """Call `main`, and end this process with its status."""
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        status = 128 + signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()  # a forked process would leave them out
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status)


class Run:
    """A fairseq command in the background."""

    def __init__(self, program: str, *arguments: object, **environ: str) -> None:
        self.log = tempfile.NamedTemporaryFile(prefix=f"{program}-", suffix=".log", delete=False).name
        self.process = server.Process(
            target=_main, args=(program, [str(a) for a in arguments], environ, self.log)
        )
        self.process.start()

    def output(self) -> str:
        """Return the output so far."""
        return Path(self.log).read_text()

    def finish(self, timeout: float = 300) -> Finished:
        """Wait for the end; after `timeout` seconds, kill the process and raise TimeoutError."""
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            raise TimeoutError(self.output())
        return Finished(self.process.exitcode, self.output())


def run_fairseq(program: str, *arguments: object, succeeds: bool | None = True, **environ: str) -> Finished:
    """Run ``fairseq-program arguments``, which must succeed (True), fail (False) or do either (None)."""
    finished = Run(program, *arguments, **environ).finish()
    if succeeds:
        assert finished.status == 0, finished.output
    elif succeeds is not None:
        assert finished.status not in (0, None), finished.output
    return finished


TINY = (
    "--user-dir", PLUGIN, "--cpu", "--decoder-embed-dim", "12", "--decoder-hidden-size", "16",
    "--decoder-layers", "2", "--batch-size", "4", "--tokens-per-sample", "10", "--seed", "3",
    "--optimizer", "sgd", "--lr", "2", "--lr-scheduler", "fixed", "--clip-norm", "0.25",
    "--bptt-variation", "0", "--no-progress-bar", "--log-format", "json", "--log-interval", "1000",
    "--save-interval", "1",  # presets write no checkpoint for each epoch, but tests read them
)  # fmt: skip


def train(
    data: Path, save_dir: Path, *arguments: object, arch: str = "awd_lstm_ptb", **options: Any
) -> Finished:
    """Run ``fairseq-train`` of a tiny model; later flags win over earlier ones."""
    return run_fairseq("train", data, "--arch", arch, *TINY, "--save-dir", save_dir, *arguments, **options)


def evaluate(data: Path, path: Path, *arguments: object, **options: Any) -> Finished:
    """Run ``fairseq-eval-lm`` on the checkpoint `path`."""
    return run_fairseq("eval-lm", data, "--user-dir", PLUGIN, "--path", path, *arguments, **options)


def free_port() -> str:
    """Return a TCP port that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def start_ranks(
    world: int,
    data: Path,
    save_dir: Path,
    *arguments: object,
    arch: str = "awd_lstm_ptb",
    of_last: tuple[object, ...] = (),
) -> list[Run]:
    """Start the processes that ``torchrun --nproc-per-node world fairseq-train ...`` starts.

    Args:
        of_last: further arguments of the last process alone
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(world)}
    return [
        Run(
            "train", data, "--arch", arch, *TINY, "--save-dir", save_dir, *arguments,
            *(of_last if rank == world - 1 else ()),
            RANK=str(rank), LOCAL_RANK=str(rank), **shared,
        )
        for rank in range(world)
    ]  # fmt: skip


def train_ranks(world: int, *arguments: object, **options: str) -> Finished:
    """Run them to their end, and return the run of rank 0; all must succeed."""
    finished = [run.finish() for run in start_ranks(world, *arguments, **options)]
    assert all(rank.status == 0 for rank in finished), finished
    return finished[0]


def perplexity(finished: Finished) -> float:
    """Return the perplexity that ``fairseq-eval-lm`` printed."""
    return float(finished.output.rsplit("Perplexity: ", 1)[1].split()[0])
