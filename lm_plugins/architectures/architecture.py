"""An architecture: a model with its sizes, its training flags, and its published results."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass
from typing import NamedTuple

from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY, register_model

from lm_plugins.architectures.one_cycle import training_tokens
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel

# Flags that depend on the corpus: a function of the typed flags, the number of training tokens and the number
# of processes.
SizedFlags = Callable[[Flags, int, int], Flags]
Scores = tuple[str | None, str | None]  # on the validation and the test set; None: not published

PUBLISHED = "published"  # the default --regime
ARCHITECTURES: dict[str, "Architecture"] = {}  # all that were declared, by name


class Published(NamedTuple):
    """Published results, digit by digit; None for a protocol without published results.

    Args:
        trained: after training
        finetuned: after fine-tuning
        cache: with a neural cache, of the fine-tuned model where there is one
        dynamic: by dynamic evaluation, of the fine-tuned model where there is one
        note: facts that a reader needs to compare them with ours
    """

    trained: Scores
    finetuned: Scores | None = None
    cache: Scores | None = None
    dynamic: Scores | None = None
    note: str = ""


class Recipe(NamedTuple):
    """A script ``recipes/<path>.sh`` that trains and evaluates the architecture on a corpus.

    Args:
        path: corpus and name, ``ptb/qrnn``
        title: model and corpus
        cache: evaluate with a neural cache too
        unit: of the results, ``ppl`` or ``bpc``
        published: results, or None
    """

    path: str
    title: str
    cache: bool = True
    unit: str = "ppl"
    published: Published | None = None


@dataclass(frozen=True)
class Architecture:
    """Declare an architecture and register it as ``--arch name``.

    The architecture gets a configuration dataclass and a model class of its own. Its options are therefore
    the defaults on the command line, in a YAML file and in a checkpoint alike, and the user's values override
    them.

    Args:
        name: value of ``--arch``
        model: class of the model
        options: sizes, dropouts and other options of the model, where they differ from its defaults
        training: flags of ``fairseq-train``, or a function that returns them for a corpus
        regimes: flags of other ways to train it, by the value of ``--regime``
        finetuning: flags that differ when a trained model is fine-tuned (``--finetune-from-model``);
            None: the recipe does not fine-tune
        dynamic: flags of ``fairseq-eval-lm`` for dynamic evaluation; None: the recipe has none
        recipes: scripts that train it, each on one corpus
        parameters: published number of parameters
        source: paper and code
        departures: differences from the published training, one sentence each; in the header of the recipe

    Raises:
        Refused: the name is taken, the model has no such option, or a flag is not a text.
    """

    name: str
    model: type[RecurrentLanguageModel]
    options: dict[str, object]
    training: Flags | SizedFlags
    regimes: dict[str, Flags | SizedFlags] = field(default_factory=dict)
    finetuning: Flags | None = None
    dynamic: Flags | None = None
    recipes: tuple[Recipe, ...] = ()
    parameters: str = ""
    source: str = ""
    departures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name in ARCH_MODEL_REGISTRY or self.name in MODEL_REGISTRY:
            raise Refused(f"the architecture {self.name} is already registered: choose another name")
        known = {f.name: f for f in fields(self.model.config)}
        for option in self.options.keys() - known.keys():
            near = difflib.get_close_matches(option, known, n=1)
            raise Refused(
                f"the architecture {self.name} sets {option}, which is not an option of {self.model.__name__}"
                + (f": did you mean {near[0]}?" if near else "")
            )
        for flags in (self.training, *self.regimes.values(), self.finetuning, self.dynamic):
            self._check_flags({} if flags is None or callable(flags) else flags)
        changed = [
            (option, known[option].type, field(default=value, metadata=known[option].metadata))
            for option, value in self.options.items()
        ]
        title = "".join(word.capitalize() for word in self.name.split("_"))
        config = make_dataclass(f"{title}Config", changed, bases=(self.model.config,))
        register_model(self.name, dataclass=config)(type(title, (self.model,), {"config": config}))
        ARCHITECTURES[self.name] = self

    def _check_flags(self, flags: Flags) -> None:
        for flag, value in flags.items():
            if not flag.startswith("--") or not isinstance(value, str | None):
                raise Refused(
                    f"the architecture {self.name} has the flag {flag!r} with the value {value!r}: give both "
                    'as they are typed, such as "--lr": "0.1", and None where a flag takes no value'
                )

    def training_flags(self, typed: Flags, arguments: list[str], world: int) -> Flags:
        """Return the flags of ``fairseq-train`` for the typed ``--regime``, and for fine-tuning.

        Args:
            typed: flags that the user typed
            arguments: all of the command line, which names the data folder
            world: number of processes

        Raises:
            Refused: the architecture has no such regime, or its flags depend on a corpus that lacks the
                training subset.
        """
        regime = typed.get("--regime", PUBLISHED)
        regimes = {PUBLISHED: self.training, **self.regimes}
        if regime not in regimes:
            having = sorted(name for name, other in ARCHITECTURES.items() if regime in other.regimes)
            raise Refused(
                f"--arch {self.name} has no --regime {regime}: leave it out, or use an architecture that has "
                f"it ({', '.join(having) or 'none'})"
            )
        flags = regimes[regime]
        if callable(flags):
            tokens = training_tokens(arguments, typed.get("--train-subset", "train"))
            flags = flags(typed, tokens, world)
        if "--finetune-from-model" in typed and regime == PUBLISHED:
            flags = {**flags, **(self.finetuning or {})}
        return flags
