"""Run fairseq's programs on pretended GPUs: ``python -m tests.helpers.pretended_gpu.server LIBRARY``.

torch and fairseq are imported once. Each line of standard input is a job as JSON, {"program", "arguments",
"environ", "log", "report", "peak_gib"}. The job runs in a fork of this process, and its exit status is a line
of standard output. The fork writes its output to the file `log`, and what a GPU would have noticed to the
file `report`, as JSON.
"""

import importlib
import json
import os
import sys
from typing import Any

LIBRARY = "LM_PLUGINS_PRETENDED_GPU"  # environment variable: the path of the compiled guard.cpp
GPUS = "LM_PLUGINS_PRETENDED_GPUS"  # environment variable: how many there are


def start() -> tuple[Any, Any]:
    """Give this process its GPUs. Processes that fairseq spawns import this module and so have them, too."""
    from tests.helpers.pretended_gpu import guard

    guard.load(os.environ[LIBRARY])  # before torch
    from tests.helpers.pretended_gpu.cuda import install

    return install(int(os.environ.get(GPUS, "1")))


def run(job: dict[str, Any], record: Any, memory: Any) -> None:
    """Run the job in this process, which ends with it."""
    descriptor = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    os.environ.update(job["environ"])
    sys.argv = [f"fairseq-{job['program']}", *job["arguments"]]

    from fairseq.trainer import Trainer

    from lm_plugins.ops.fo_pooling import self_test  # after argv is set, which the plug-in completes
    from tests.helpers.pretended_gpu.pooling import kernels
    from tests.helpers.runner import end_with

    self_test.triton_kernels = lambda: kernels(record)
    record.watch(Trainer)
    memory.step = job["peak_gib"] << 30

    def main() -> None:
        try:
            importlib.import_module("fairseq_cli." + job["program"].replace("-", "_")).cli_main()
        finally:
            counters = {name: dict(counter) for name, counter in record.counters().items()}
            with open(job["report"], "w") as file:
                json.dump({**counters, "updates": record.updates}, file)

    end_with(main)


def serve(record: Any, memory: Any) -> None:
    """Run the jobs of standard input, one after another."""
    import tests.helpers.preload  # noqa: F401

    for line in sys.stdin:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            run(json.loads(line), record, memory)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ in ("__main__", "__mp_main__"):
    RECORD, MEMORY = start()
if __name__ == "__main__":
    serve(RECORD, MEMORY)
