"""Flags that depend on the machine: how many processes train together, and on which device."""

import logging
from collections.abc import Mapping

import torch
from fairseq.dataclass.configs import DistributedTrainingConfig

from lm_plugins.errors import Refused
from lm_plugins.flags import Flags

logger = logging.getLogger(__name__)

# Flags of fairseq that torchrun decides, and where it tells the number.
OF_TORCHRUN = {
    "--distributed-world-size": "WORLD_SIZE",
    "--distributed-rank": "RANK",
    "--device-id": "LOCAL_RANK",
}
# Flags that are right for one process of one run, and so not part of a command that can be repeated.
CONNECTING = (*OF_TORCHRUN, "--distributed-init-method", "--distributed-no-spawn")
NEEDS_GPU = {"--ddp-backend": ("c10d", "pytorch_ddp"), "--distributed-backend": ("nccl",)}


def process_count(typed: Flags, environ: Mapping[str, str]) -> int:
    """Return the number of processes that train together: torchrun's, or one for each GPU."""
    if "WORLD_SIZE" in environ:
        return int(environ["WORLD_SIZE"])
    gpus = 0 if "--cpu" in typed else torch.cuda.device_count()
    world = int(typed.get("--distributed-world-size") or max(1, gpus))
    return gpus * _nodes_of_slurm(typed, environ) or world if world > 1 else world


def _nodes_of_slurm(typed: Flags, environ: Mapping[str, str]) -> int:
    """Return the number of nodes on each of which fairseq starts a process for each GPU.

    With --distributed-port, fairseq connects the tasks of a Slurm job by itself. If each node has one task,
    it replaces --distributed-world-size. Otherwise, 0 is returned.
    """
    nodes = int(environ.get("SLURM_NNODES") or 0)
    tasks = environ.get("SLURM_NTASKS_PER_NODE") or int(environ.get("SLURM_NTASKS") or 0) // max(1, nodes)
    connects = int(typed.get("--distributed-port") or -1) > 0 and "--distributed-init-method" not in typed
    return nodes if connects and int(tasks) == 1 else 0


def streams_per_process(streams: str, world: int) -> str:
    """Divide the published number of streams by `world` processes, rounded up."""
    share = -(-int(streams) // world)
    if share * world != int(streams):
        logger.info(
            f"{streams} streams cannot be divided evenly among {world} processes: each process gets {share}"
        )
    return str(share)


def process_flags(typed: Flags, environ: Mapping[str, str]) -> Flags:
    """Return the flags that connect the processes of torchrun, and that let fairseq train on a CPU.

    Without them, fairseq trains independent copies under torchrun, and flattens half-precision gradients,
    which it can do only on a GPU.

    Raises:
        Refused: several processes are requested, but fairseq would start none, or they could not connect.
    """
    on_cpu = not torch.cuda.is_available() or "--cpu" in typed
    flags = {"--fp16-no-flatten-grads": None} if on_cpu and "--fp16" in typed else {}
    if int(environ.get("WORLD_SIZE", 1)) > 1:
        return {**_torchrun_flags(typed, environ, on_cpu), **flags}
    world = typed.get("--distributed-world-size")
    if "--cpu" in typed and world is None and DistributedTrainingConfig().distributed_world_size > 1:
        flags["--distributed-world-size"] = "1"  # fairseq's default: the number of GPUs, hidden ones included
    if on_cpu and "--profile" in typed:
        raise Refused("--profile needs a GPU, because it starts the GPU's profiler: leave it out")
    if "--distributed-no-spawn" not in typed:
        _refuse_lone_process(typed, on_cpu)
    if world not in (None, "1") and not torch.cuda.is_available() and "--distributed-no-spawn" not in typed:
        raise Refused(
            f"--distributed-world-size {world} starts processes only on GPUs: on a CPU, use "
            f"torchrun --nproc-per-node {world} $(which fairseq-train) ..."
        )
    return flags


def _refuse_lone_process(typed: Flags, on_cpu: bool) -> None:
    """Refuse flags that connect processes where fairseq would start none and end with status 0.

    Raises:
        Refused: see above
    """
    for flag in ("--distributed-init-method", "--distributed-rank"):
        if on_cpu and typed.get(flag) not in (None, "0"):
            raise Refused(f"{flag} starts processes only on GPUs: on a CPU, use torchrun, which sets it")


def _torchrun_flags(typed: Flags, environ: Mapping[str, str], on_cpu: bool) -> Flags:
    _check_torchrun(typed, environ, on_cpu)
    flags = {
        **{flag: environ[name] for flag, name in OF_TORCHRUN.items()},
        "--distributed-init-method": "env://",
        "--distributed-no-spawn": None,
    }
    if on_cpu:
        flags |= {
            "--cpu": None,
            "--distributed-backend": "gloo",
            "--ddp-backend": "legacy_ddp",  # fairseq always passes a GPU number to PyTorch's DDP
        }
    return flags


def _check_torchrun(typed: Flags, environ: Mapping[str, str], on_cpu: bool) -> None:
    """Refuse flags with which the processes of torchrun would wait for each other forever, or fail.

    Raises:
        Refused: see above
    """
    world = environ["WORLD_SIZE"]
    missing = [name for name in OF_TORCHRUN.values() if name not in environ]
    if missing:
        raise Refused(
            f"the environment has WORLD_SIZE={world}, but no {' and no '.join(missing)}: start {world} "
            "processes with torchrun, or unset WORLD_SIZE"
        )
    for flag, name in OF_TORCHRUN.items():
        if flag in typed and typed[flag] != environ[name]:
            raise Refused(
                f"{flag} is {typed[flag]} in a process for which torchrun says {environ[name]}: leave it out"
            )
    for flag, values in NEEDS_GPU.items() if on_cpu else ():
        if typed.get(flag) in values:
            raise Refused(f"{flag} {typed[flag]} trains only on GPUs: leave it out")
