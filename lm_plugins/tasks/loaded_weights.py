"""Compare the model of the checkpoint that training starts from with the one that takes its weights.

torch compares names and shapes. They can agree although the new model computes something else.
"""

import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from lm_plugins.errors import Refused
from lm_plugins.flags import flag_of
from lm_plugins.tasks.resume import as_typed, sections_of
from lm_plugins.tasks.starting_point import StartingPoint

logger = logging.getLogger(__name__)

# Options of a model that change what it computes, but not the names and shapes of its weights.
CUTOFFS = "adaptive_softmax_cutoff"
MEANING = (CUTOFFS, "nonlinearity", "share_decoder_input_output_embed")
TEXT = "sample_break_mode"  # the weights mean the same, but belong to another kind of text


def check_loaded_weights(start: StartingPoint, cfg: DictConfig) -> None:
    """Refuse weights that have another meaning in this model; warn if they were trained on other text.

    With other options than these, weights may be fine-tuned.

    Args:
        cfg: the configuration of the task, from which the model's is reached

    Raises:
        Refused: see above; the message lists each option with both values
    """
    path, saved = start.path, (start.checkpoint.get("cfg") or {}).get("model")
    if not isinstance(saved, Mapping):
        return
    current = sections_of(cfg, ["model"])["model"]
    changes = [change for name in MEANING if (change := changed(name, saved, current))]
    if changes:
        raise Refused(
            f"the weights of {path} have another meaning in this model ({', '.join(changes)}): restore these "
            "options"
        )
    change = changed(TEXT, saved, current)
    if change:
        logger.warning(f"the model of {path} was trained on another kind of text ({change})")


def changed(name: str, saved: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Return "--flag old -> new" if the option `name` of two models differs, else ""; both must have it."""
    before, after = of_model(saved).get(name), of_model(current).get(name)
    if before is None or after is None or before == after:
        return ""
    return f"{flag_of(name)} {as_typed(before)} -> {as_typed(after)}"


def of_model(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `options` of a model that it uses, with the cutoffs as a list."""
    used = dict(options)
    cutoffs = used.pop(CUTOFFS, None)
    if cutoffs and used.get("output_layer") == "adaptive_softmax":
        used[CUTOFFS] = [cutoff.strip() for cutoff in cutoffs.split(",")]
    return used
