"""Completes the command line with what an architecture needs and the user did not type.

fairseq imports ``--user-dir`` before it parses ``sys.argv`` (options.py:228), so that flags appended
there are parsed like typed ones. What the user typed always wins, also where it equals fairseq's
default. Nothing is touched unless the program is one of fairseq's and the task and the architecture
are ours. Doing it twice changes nothing: processes that fairseq spawns import the plug-in again.
"""

import difflib
import logging
import os
import shlex
from pathlib import Path

import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.registry import REGISTRIES

from lm_plugins.architectures import ARCHITECTURES, PUBLISHED
from lm_plugins.architectures.shared import COMMON
from lm_plugins.errors import Refused
from lm_plugins.optim.large_tables import LargeTables

logger = logging.getLogger(__name__)

ADDED_OPTIONS = "LM_PLUGINS_ADDOPTS"  # flags for every fairseq-train, as PYTEST_ADDOPTS for every pytest
PROGRAMS = ("train", "eval-lm", "validate", "generate", "interactive")
TASK = COMMON["--task"]
KEEPS_EPOCHS = {"--keep-last-epochs", "--save-interval"}  # typed, checkpoints of epochs are wanted
LAYER_OF = {"adaptive_softmax": "adaptive_softmax", "mos": "mos", "nce": "softmax"}  # by criterion
CRITERION_OF = {"softmax": "lm_cross_entropy", "adaptive_softmax": "adaptive_softmax", "mos": "mos"}
ALIASES = {"-a": "--arch"} | {
    field.metadata["argparse_alias"]: "--" + name.replace("_", "-")
    for part in FairseqConfig.__dataclass_fields__.values()
    for name, field in getattr(part.type, "__dataclass_fields__", {}).items()
    if "argparse_alias" in field.metadata
}


def complete(argv, environ=os.environ):
    """`argv` with the missing flags appended.

    Raises:
        Refused: an unknown architecture, or flags that would train something else than meant.
    """
    program = program_name(argv[0])
    if program == "train":
        argv = with_added_options(argv, environ.get(ADDED_OPTIONS, ""))
    typed = typed_flags(argv[1:])
    if program not in PROGRAMS or typed.get("--task", TASK) != TASK:
        return argv
    missing = {}
    if program == "train":
        if "--arch" not in typed:
            return argv
        check_arch(typed["--arch"])
        if not ARCH_MODEL_REGISTRY[typed["--arch"]].__module__.startswith("lm_plugins."):
            return argv
        world = processes(typed, environ)
        missing = {**training_flags(typed, argv[1:], world), **process_flags(typed, environ)}
        if "--batch-size" in missing and "--batch-size" not in typed:
            missing["--batch-size"] = divided(missing["--batch-size"], world)
    else:
        if "--path" not in typed and not {"-h", "--help"} & {*argv}:
            raise Refused(f"fairseq-{program} needs a checkpoint: give its path with --path")
        missing = {"--task": TASK} | ({"--batch-size": "1"} if program == "validate" else {})
    added = [
        part
        for flag, value in missing.items()
        if flag not in typed
        for part in (flag, value)
        if part is not None
    ]
    if added and environ.get("RANK", "0") == "0":
        logger.info("completed command: %s", shlex.join([f"fairseq-{program}", *argv[1:], *added]))
    return [*argv, *added]


def with_added_options(argv, options):
    """Return `argv` with the flags in the text `options` that are not in it: what is typed wins."""
    typed = typed_flags(argv[1:])
    added = typed_flags(shlex.split(options))
    parts = [part for flag, value in added.items() if flag not in typed for part in (flag, value)]
    return [*argv, *(part for part in parts if part is not None)]


def program_name(path):
    """ "train" for .../fairseq-train and for .../fairseq_cli/train.py; None for other programs."""
    path = Path(path)
    if path.parent.name == "fairseq_cli":
        return path.stem.replace("_", "-")
    return path.stem.removeprefix("fairseq-") if path.stem.startswith("fairseq-") else None


def typed_flags(arguments):
    """{flag: value} of what was typed, aliases resolved; a flag without a value has None."""
    typed, flag = {}, None
    for argument in arguments:
        if argument.startswith("--") or argument in ALIASES:
            flag, _, value = argument.partition("=")
            flag = ALIASES.get(flag, flag)
            typed[flag] = value or None
        elif flag is not None and typed[flag] is None:
            typed[flag] = argument
    return typed


def check_arch(name):
    if name not in ARCH_MODEL_REGISTRY:
        ours = sorted(n for n, m in ARCH_MODEL_REGISTRY.items() if "lm_plugins" in m.__module__)
        near = difflib.get_close_matches(str(name), ours, n=1)
        raise Refused(
            f"unknown --arch {name}"
            + (f", did you mean {near[0]}?" if near else ".")
            + f" The architectures of lm_plugins are {', '.join(ours)}"
        )


def flags_of_arch(typed, arguments, world):
    """Return the training flags of the architecture for the typed --regime, {} if it has none of its own.

    Raises:
        Refused: the architecture has no such regime, or one that is sized by a corpus that is not there.
    """
    name, regime = typed["--arch"], typed.get("--regime", PUBLISHED)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].training_flags(typed, arguments, world)
    if regime != PUBLISHED:
        raise Refused(f"--arch {name} has no --regime {regime}: leave out --regime")
    return {}


def training_flags(typed, arguments=(), world=1):
    """The flags of the arch's preset, less those that what the user chose instead does not have."""
    flags = {**COMMON, **flags_of_arch(typed, arguments, world)}
    if typed.get("--criterion") in LAYER_OF:
        flags["--output-layer"] = LAYER_OF[typed["--criterion"]]
    if typed.get("--output-layer") in CRITERION_OF:
        flags["--criterion"] = CRITERION_OF[typed["--output-layer"]]
    for kind in ("optimizer", "lr_scheduler", "criterion"):
        flag = "--" + kind.replace("_", "-")
        preset, chosen = flags.get(flag), typed.get(flag)
        if preset and chosen and chosen != preset:
            owners = REGISTRIES[kind]["dataclass_registry"]
            fields = [getattr(owners.get(n), "__dataclass_fields__", {}) for n in (preset, chosen)]
            for name, described in fields[0].items():
                if fields[1].get(name) is not described:  # the same field: AR and TAR of our criteria
                    flags.pop("--" + name.replace("_", "-"), None)
            if kind == "optimizer" and "--lr" not in typed:
                raise Refused(
                    f"the learning rate of {typed['--arch']} is meant for --optimizer {preset}: "
                    f"with --optimizer {chosen} also give --lr"
                )
    chosen = {**flags, **typed}
    takes_large_tables = issubclass(OPTIMIZER_REGISTRY.get(chosen.get("--optimizer"), object), LargeTables)
    if not takes_large_tables or chosen.get("--output-layer") not in (None, "softmax"):
        flags.pop("--sparse-embedding-grad", None)
        flags.pop("--split-vocabulary", None)
    if typed.get("--sample-break-mode") == "eos":  # independent sentences have a new order in each epoch
        flags.pop("--rotate-streams", None)
    if KEEPS_EPOCHS & typed.keys():
        flags.pop("--no-epoch-checkpoints")
    if "--batch-size" not in {*flags, *typed}:
        raise Refused(
            f"--arch {typed['--arch']} has no preset: give --batch-size, the number of parallel "
            "streams per process"
        )
    return flags


def processes(typed, environ):
    """How many will train together: those of torchrun, or one for each GPU, as fairseq starts them."""
    if "WORLD_SIZE" in environ:
        return int(environ["WORLD_SIZE"])
    gpus = 0 if "--cpu" in typed else torch.cuda.device_count()
    return int(typed.get("--distributed-world-size") or max(1, gpus))


def divided(streams, world):
    """The published number of streams shared out to `world` processes, rounded up."""
    share = -(-int(streams) // world)
    if share * world != int(streams):
        logger.info(
            f"{streams} streams cannot be divided evenly among {world} processes: each process gets {share}"
        )
    return str(share)


def process_flags(typed, environ):
    """What fairseq needs to be told of the machine.

    Under torchrun it would train independent copies; half precision it flattens on a GPU only.
    """
    world = int(environ.get("WORLD_SIZE", 1))
    on_cpu = not torch.cuda.is_available() or "--cpu" in typed
    half = {"--fp16-no-flatten-grads": None} if on_cpu and "--fp16" in typed else {}
    if world > 1:
        flags = {
            "--distributed-world-size": str(world),
            "--distributed-rank": environ["RANK"],
            "--distributed-init-method": "env://",
            "--distributed-no-spawn": None,
            "--device-id": environ["LOCAL_RANK"],
        }
        if on_cpu:
            flags |= {
                "--cpu": None,
                "--distributed-backend": "gloo",
                "--ddp-backend": "legacy_ddp",  # fairseq gives torch's DDP a GPU number, always
            }
        return flags | half
    asked = typed.get("--distributed-world-size")
    if asked not in (None, "1") and not torch.cuda.is_available():
        if "--distributed-no-spawn" not in typed:
            raise Refused(
                f"--distributed-world-size {asked} starts no processes where there is no GPU: use "
                f"torchrun --nproc-per-node {asked} $(which fairseq-train) ..."
            )
    return half
