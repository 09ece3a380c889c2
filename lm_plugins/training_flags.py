"""Select the training flags of an architecture that fit the typed flags."""

import difflib

from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.optim import OPTIMIZER_REGISTRY

from lm_plugins.architectures import ARCHITECTURES, PUBLISHED
from lm_plugins.architectures.shared import COMMON
from lm_plugins.command_line import opposite
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags, flag_of
from lm_plugins.models.heads import default_criterion, needed_head
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.optim.large_tables import LargeTables
from lm_plugins.registered_options import options_of

KEEPS_EPOCHS = {"--keep-last-epochs", "--save-interval"}  # if typed, checkpoints of epochs are wanted


def check_arch(name: str | None) -> None:
    """Refuse an architecture that is not registered.

    Args:
        name: the typed name; None: no name was typed

    Raises:
        Refused: `name` is unknown; the message has the nearest name, and the recurrent architectures.
    """
    if name in ARCH_MODEL_REGISTRY:
        return
    near = difflib.get_close_matches(str(name), ARCH_MODEL_REGISTRY, n=1)
    recurrent = sorted(arch for arch in ARCH_MODEL_REGISTRY if is_recurrent(arch))
    raise Refused(
        ("--arch is missing" if name is None else f"unknown --arch {name}")
        + (f", did you mean {near[0]}?" if near else ".")
        + f" The architectures of lm_plugins are {', '.join(recurrent)}"
    )


def is_recurrent(arch: str) -> bool:
    """Return whether the registered architecture `arch` is a RecurrentLanguageModel."""
    return issubclass(ARCH_MODEL_REGISTRY[arch], RecurrentLanguageModel)


def architecture_flags(typed: Flags, arguments: list[str], world: int) -> Flags:
    """Return the training flags of the typed architecture and --regime.

    Args:
        typed: flags that the user typed
        arguments: the command line, which names the data folder that may size the training
        world: number of processes

    Raises:
        Refused: the architecture has no such regime, or its regime depends on a missing corpus.
    """
    name, regime = typed["--arch"], typed.get("--regime", PUBLISHED)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].training_flags(typed, arguments, world)
    if regime != PUBLISHED:
        raise Refused(f"--arch {name} has no --regime {regime}: leave out --regime")
    return {}


def training_flags(typed: Flags, arguments: list[str], world: int) -> Flags:
    """Return the training flags of the typed architecture, without those that the typed flags exclude.

    Raises:
        Refused: a flag that nothing else supplies is missing, or see :func:`architecture_flags`.
    """
    flags = {**COMMON, **architecture_flags(typed, arguments, world)}
    if head := needed_head({**flags, **typed}.get("--criterion")):
        flags["--output-layer"] = head
    criterion = default_criterion(typed.get("--output-layer"))
    implied = {"--criterion": criterion} if criterion else {}
    for kind in ("optimizer", "lr_scheduler", "criterion"):
        _leave_out_options(kind, flags, {**implied, **typed})
    flags |= implied
    chosen = {**flags, **typed}
    if start := getattr(CRITERION_REGISTRY.get(chosen["--criterion"]), "output_bias_init", None):
        flags["--output-bias-init"] = start
    takes_large_tables = issubclass(OPTIMIZER_REGISTRY.get(chosen.get("--optimizer"), object), LargeTables)
    if not takes_large_tables or chosen.get("--output-layer") not in (None, "softmax"):
        flags.pop("--sparse-embedding-grad", None)
        flags.pop("--split-vocabulary", None)
    if chosen["--criterion"] != "nce" or chosen.get("--nce-loss", "nce") != "nce":
        flags.pop("--nce-z", None)
    if typed.get("--sample-break-mode") == "eos":  # independent sentences are shuffled in each epoch
        flags.pop("--rotate-streams", None)
    if KEEPS_EPOCHS & typed.keys():
        flags.pop("--no-epoch-checkpoints")
    for flag in typed:
        if flag.startswith("--no-"):  # switches a boolean option of the architecture off
            flags.pop(opposite(flag), None)
    if "--batch-size" not in {*flags, *typed}:
        raise Refused(
            f"--arch {typed['--arch']} has no training flags: give --batch-size, the number of parallel "
            "streams per process"
        )
    return flags


def _leave_out_options(kind: str, flags: Flags, typed: Flags) -> None:
    """Remove from `flags` the options of the architecture's `kind` where the user typed another one."""
    flag = flag_of(kind)
    preset, chosen = flags.get(flag), typed.get(flag)
    if not preset or not chosen or chosen == preset:
        return
    chosen_options = options_of(kind, chosen)
    for name, option in options_of(kind, preset).items():
        is_shared = chosen_options.get(name) is option  # inherited, such as AR and TAR of our criteria
        is_of_another_section = str(option.default).startswith("${")  # such as lr, which stays
        if not (is_shared or is_of_another_section):
            flags.pop(flag_of(name), None)
    if kind == "optimizer" and "--lr" not in typed:
        raise Refused(
            f"the learning rate of {typed['--arch']} is meant for --optimizer {preset}: with --optimizer "
            f"{chosen} also give --lr"
        )
