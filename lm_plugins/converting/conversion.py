"""Read a model of any of the formats, and write it as a checkpoint or as plain tensors."""

import os
from collections.abc import Mapping
from typing import Any

from lm_plugins.converting import awd_lstm_lm, fastai, mos
from lm_plugins.converting.checkpoint import CHECKPOINT, build, write_checkpoint
from lm_plugins.converting.dictionary import reorder
from lm_plugins.converting.folder import whole_folder, write_dictionary
from lm_plugins.converting.foreign import read_foreign, refuse_other
from lm_plugins.converting.own import Own, from_checkpoint, from_translated
from lm_plugins.converting.plain import CONFIG, TENSORS, read_plain, write_plain
from lm_plugins.converting.torch_file import TorchFile
from lm_plugins.converting.translated import Translated
from lm_plugins.converting.vocabulary import read_vocabulary
from lm_plugins.data.text_json import LEVELS
from lm_plugins.errors import Refused

# In the order in which they are tried: mos also has the weights of awd-lstm-lm.
PROJECTS = {"mos": mos, "fastai": fastai, "awd-lstm-lm": awd_lstm_lm}


def convert(
    source: str,
    out: str,
    vocabulary: str | None = None,
    to: str = "checkpoint",
    data: str | None = None,
    level: str | None = None,
) -> dict[str, Any]:
    """Convert the model `source` and write the folder `out`; see the options of the command.

    Returns:
        a description of the result, with the keys source, project, model, parameters, words, absent, files

    Raises:
        Refused: `source` cannot be read safely or is not a model that we have, or `out` holds files
    """
    with whole_folder(out) as folder:
        project, own, absent = read(source, vocabulary, data, level)
        if project == "lm_plugins" and to == "checkpoint":
            raise Refused(f"{source} is already a checkpoint of lm_plugins: give --to safetensors")
        built = build(own, os.path.abspath(out))
        write_dictionary(own, folder)
        if to == "safetensors":
            write_plain(own, folder)
        else:
            write_checkpoint(built, folder)
        files = sorted(os.listdir(folder))
    return {
        "source": source,
        "project": project,
        "model": own.model,
        "parameters": own.parameters,
        "words": len(own.dictionary),
        "absent": absent,
        "files": [os.path.join(out, name) for name in files],
    }


def read(
    source: str, vocabulary: str | None, data: str | None, level: str | None
) -> tuple[str, Own, list[str]]:
    """Return the project that wrote `source`, its model, and the special symbols that it lacks.

    Raises:
        Refused: `source` is not a model of ours, or it does not take one of the options
    """
    of_others = {"--vocabulary": vocabulary, "--text-level": level}
    if os.path.basename(source) in (TENSORS, CONFIG):
        source = os.path.dirname(source) or "."
    if os.path.exists(os.path.join(source, TENSORS)):
        refuse_options(of_others, "a model of another project")
        refuse_options({"--data": data}, "a checkpoint of lm_plugins")
        return "safetensors", read_plain(source), []
    if os.path.exists(os.path.join(source, CHECKPOINT)):
        source = os.path.join(source, CHECKPOINT)
    if is_fairseq(source):
        refuse_options(of_others, "a model of another project")
        return "lm_plugins", from_checkpoint(source, data), []
    refuse_options({"--data": data}, "a checkpoint of lm_plugins")
    project, translated = read_translated(source)
    words = read_vocabulary(vocabulary)
    if len(words.symbols) != translated.size:
        raise Refused(
            f"--vocabulary {vocabulary} has {len(words.symbols):,} symbols, but {source} has "
            f"{translated.size:,} words: give the vocabulary that the model was trained with"
        )
    reordering, cutoffs = reorder(words, translated.cutoffs)
    return project, from_translated(translated, reordering, cutoffs, level or LEVELS[0]), reordering.absent


def refuse_options(options: Mapping[str, str | None], owner: str) -> None:
    """Refuse options that would have no effect.

    Args:
        options: {flag: its value}
        owner: what the options are for
    """
    for flag, value in options.items():
        if value is not None:
            raise Refused(f"{flag} is for {owner}: leave it out")


def read_translated(source: str) -> tuple[str, Translated]:
    """Return the other project that wrote `source`, and its model in our terms.

    Raises:
        Refused: no project that we know wrote it, or its weights are incomplete
    """
    foreign = read_foreign(source)
    project = next((name for name, module in PROJECTS.items() if module.recognises(foreign)), None)
    if project is None:
        refuse_other(foreign)
    try:
        return project, PROJECTS[project].convert(foreign)
    except Refused:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise Refused(
            f"{source} looks like a model of {project}, but its weights are incomplete or altered "
            f"({type(error).__name__}: {error}): copy the file again"
        ) from error


def is_fairseq(path: str) -> bool:
    """Return whether the file `path` is a checkpoint of fairseq."""
    if not os.path.isfile(path):
        return False
    content = TorchFile(path).content
    return isinstance(content, dict) and "cfg" in content and "model" in content
