"""Compare the options of a resumed training with those in its checkpoint.

Only options that change what is learned are compared. The layout of the data is compared where the position
in it is restored (:mod:`lm_plugins.data.layout`).
"""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from fairseq.registry import REGISTRIES
from omegaconf import DictConfig, OmegaConf

from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.tasks.resumed_state import check_best, check_optimizer_state, keeps_best, restore_best
from lm_plugins.tasks.starting_point import StartingPoint

logger = logging.getLogger(__name__)

# Sections of fairseq's configuration, and which of their options change training; None: all of them.
COMPARED: dict[str, Optional[tuple[str, ...]]] = {
    "model": None,
    "criterion": None,
    "optimizer": None,
    "lr_scheduler": None,
    "optimization": ("clip_norm", "lr", "update_freq"),
    "dataset": (
        "batch_size_valid",
        "combine_valid_subsets",
        "disable_validation",
        "valid_subset",
        "validate_after_updates",
        "validate_interval",
        "validate_interval_updates",
    ),
    "common": ("fp16", "memory_efficient_fp16", "seed"),
    "task": ("autocast", "float32_matmul"),
}
DATA = {"data"}  # in a section for the number of folders; the layout compares the text itself
SCHEDULE = {"lr", "lr_scheduler"}  # the options and the section that --reset-lr-scheduler resets
# Choices whose state in a checkpoint fits no other one, and the option that leaves it out.
NOT_ACCEPTED = {
    "--criterion": "--reset-optimizer",
    "--optimizer": "--reset-optimizer",
    "--lr-scheduler": "--reset-lr-scheduler",
}
STREAMS = {"dataset": "batch_size", "distributed_training": "distributed_world_size"}
PLAIN = (bool, int, float, str, list, type(None))


def check_resumed_options(start: StartingPoint, cfg: DictConfig) -> None:
    """Compare the options of this run with those in the checkpoint that it resumes, as far as both have them.

    With --reset-optimizer, another optimizer continues from the weights, and no options are compared.
    checkpoint_best.pt is still only replaced by a better model.

    Args:
        start: nothing is compared if it only provides the first weights
        cfg: the configuration of the task, from which the other sections are reached

    Raises:
        Refused: they differ and --accept-changes is missing; the message lists each option with both values.
            Or the checkpoint has no optimizer state, or the best value of another metric.
    """
    if not start.is_resumed:
        return
    path, checkpoint = start.path, start.checkpoint
    saved = checkpoint.get("cfg")
    if keeps_best(path, cfg) and isinstance(saved, Mapping):
        check_best(saved.get("checkpoint", {}), cfg)
    if cfg.reset_optimizer:
        if keeps_best(path, cfg):
            restore_best(checkpoint)
        return
    check_optimizer_state(start)
    if not isinstance(saved, Mapping):
        return
    current = sections_of(cfg, COMPARED)
    ignored = DATA | (SCHEDULE if cfg.reset_lr_scheduler else set())
    if streams_of(saved) != streams_of(sections_of(cfg, STREAMS)):
        ignored |= {"batch_size_valid"}  # follows --batch-size; the layout compares the streams of training
    changed = list(differences(saved, current, ignored))
    changes = ", ".join(changed)
    if not changes:
        return
    if cfg.accept_changes:
        for flag, reset in NOT_ACCEPTED.items():
            if any(change.startswith(f"{flag} ") for change in changed):
                raise Refused(
                    f"cannot resume {path} with a different {flag} ({changes}): restore it, or give {reset}"
                )
        logger.warning(f"training continues with changed options: {changes}")
        return
    raise Refused(
        f"cannot resume {path} with changed options ({changes}): restore them, give another --save-dir, or "
        "accept them with --accept-changes"
    )


def streams_of(sections: Mapping[str, Any]) -> list[Any]:
    """Return the number of streams of a process, and the number of processes."""
    return [(sections.get(section) or {}).get(name) for section, name in STREAMS.items()]


def sections_of(cfg: DictConfig, names: Iterable[str]) -> dict[str, Any]:
    """Return sections of fairseq's configuration by name, as plain values.

    Args:
        cfg: the configuration of the task, which is one of them
    """
    links = OmegaConf.create({section: f"${{{section}}}" for section in names}, parent=cfg)
    return OmegaConf.to_container(links, resolve=True, enum_to_str=True)


def options_of(cfg: DictConfig, compared: Mapping[str, Optional[tuple[str, ...]]]) -> dict[str, Any]:
    """Return the plain values of the options `compared`, as in COMPARED.

    Args:
        cfg: the configuration of the task, from which the other sections are reached
    """
    options = {}
    for section, values in sections_of(cfg, compared).items():
        options |= _options(section, values, compared[section])
    return {name: value for name, value in options.items() if isinstance(value, PLAIN)}


def differences(saved: Mapping[str, Any], current: Mapping[str, Any], ignored: set[str]) -> Iterator[str]:
    """Yield "--flag old -> new" for each compared option of two configurations in which they differ.

    Args:
        saved: {section: options}
        current: {section: options}
        ignored: sections and options that may differ
    """
    before, after = {}, {}
    for section in COMPARED:
        if section not in ignored:
            before |= _options(section, saved.get(section), COMPARED[section])
            after |= _options(section, current[section], COMPARED[section])
    for name in sorted(before.keys() & after.keys() - ignored):
        old, new = before[name], after[name]
        if old != new and isinstance(old, PLAIN) and isinstance(new, PLAIN):
            yield f"{flag_of(name)} {as_typed(old)} -> {as_typed(new)}"


def _options(
    section: str, values: Mapping[str, Any] | Namespace | None, names: Optional[tuple[str, ...]]
) -> dict[str, Any]:
    """Return the compared options of a section, and the class that it chooses under the section's name."""
    if isinstance(values, Namespace):
        values = _own_options(section, values)
    values = values or {}
    options = {name: values[name] for name in names or values if name in values and name[0] != "_"}
    if section in REGISTRIES and "_name" in values:
        options[section] = values["_name"]
    return options


def _own_options(section: str, arguments: Namespace) -> dict[str, Any]:
    """Return the options of a class without a dataclass, such as fairseq's sgd.

    Its section holds the whole command line, and only the class knows which options are its own.
    """
    chosen = getattr(arguments, section, None)
    kind = REGISTRIES[section]["registry"].get(chosen) if section in REGISTRIES else None
    if kind is None:
        return {}
    parser = ArgumentParser(add_help=False)
    kind.add_args(parser)
    own = vars(parser.parse_args([])).keys() & vars(arguments).keys()
    return {"_name": chosen} | {name: getattr(arguments, name) for name in own}


def as_typed(value: Any) -> str:
    """Return a value as it is typed."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
