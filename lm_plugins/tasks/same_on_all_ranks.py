"""Compare what the processes of a training were started with.

On several machines, each one is given its command, its data and its --save-dir by the user. fairseq compares
none of them. With another --seed or --lr on one machine, training would continue with a different model on
each process, of which the first one is saved. With another --max-epoch, or without the checkpoint that the
others continue from, the processes would wait for each other forever.
"""

from typing import Any, Optional

from omegaconf import DictConfig

from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.ranks import from_all_ranks
from lm_plugins.tasks.resume import as_typed, options_of
from lm_plugins.tasks.starting_point import resumed_checkpoint

# Sections of fairseq's configuration, and which of their options must be the same; None: all of them.
COMPARED: dict[str, Optional[tuple[str, ...]]] = {
    "model": None,
    "task": None,
    "criterion": None,
    "optimizer": None,
    "lr_scheduler": None,
    "optimization": None,
    "dataset": None,
    "checkpoint": None,
    "common": ("cpu", "fp16", "fp16_init_scale", "memory_efficient_fp16", "seed"),
}
# Paths, and what each machine may choose for itself.
OF_A_MACHINE = {
    "continue_once",
    "data",
    "dataset_impl",
    "finetune_from_model",
    "restore_file",
    "save_dir",
}


def check_same_command(cfg: DictConfig) -> None:
    """Refuse options, or a checkpoint to continue from, that differ between processes. All ranks call this.

    Args:
        cfg: the configuration of the task, from which the other sections are reached

    Raises:
        Refused: see above, on all ranks
    """
    typed = {name: as_typed(value) for name, value in options_of(cfg, COMPARED).items()}
    options = {name: value for name, value in typed.items() if name not in OF_A_MACHINE}
    ranks = from_all_ranks((options, resumed_checkpoint(cfg)))
    first, start = ranks[0]
    for rank, (own, resumed) in enumerate(ranks):
        for name in first:
            if own.get(name) != first[name]:
                raise Refused(
                    f"process {rank} has {flag_of(name)} {own.get(name)}, and process 0 has {first[name]}: "
                    "start all processes with the same command"
                )
        if (resumed is None) != (start is None):
            with_it, without = (0, rank) if resumed is None else (rank, 0)
            raise Refused(
                f"process {with_it} continues from {start or resumed}, which process {without} does not "
                "have: give a --save-dir that all machines share"
            )


def check_same_text(subset: str, facts: dict[str, Any]) -> None:
    """Refuse a text that differs between processes, which each read their own streams. All ranks call this.

    Args:
        facts: what tells one text from another, such as its number of tokens

    Raises:
        Refused: see above, on all ranks
    """
    ranks = from_all_ranks(facts)
    for rank, own in enumerate(ranks):
        if own != ranks[0]:
            raise Refused(
                f"the subset '{subset}' of process {rank} is not that of process 0: give all machines the "
                "same data folder"
            )
