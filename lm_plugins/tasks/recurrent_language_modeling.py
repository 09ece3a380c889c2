"""Language modelling over streams whose recurrent state is carried from window to window: the set-up."""

import logging
from typing import Any

import torch
from fairseq import utils
from fairseq.criterions import CRITERION_REGISTRY, FairseqCriterion
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY, BaseFairseqModel
from fairseq.tasks import FairseqTask, register_task
from torch import Tensor

from lm_plugins.checkpoints import version
from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.data.dictionary import load_dictionary
from lm_plugins.data.level import OF_ONE_CHARACTER, level_of
from lm_plugins.data.token_stream import TokenStream, load_token_stream
from lm_plugins.errors import Refused
from lm_plugins.matmul_precision import set_matmul_precision
from lm_plugins.models.heads import check_criterion
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel, upgrade_config
from lm_plugins.tasks import large_tables
from lm_plugins.tasks.checkpointing import CheckpointingMixin
from lm_plugins.tasks.config import RecurrentLanguageModelingConfig
from lm_plugins.tasks.cuda_graphs import check_graphs
from lm_plugins.tasks.evaluation import EvaluationMixin
from lm_plugins.tasks.finetuning import FinetuningMixin
from lm_plugins.tasks.generation import GenerationMixin
from lm_plugins.tasks.iteration import IterationMixin
from lm_plugins.tasks.loaded_weights import check_loaded_weights
from lm_plugins.tasks.option_checks import check_head_options, check_task_options, check_training_options
from lm_plugins.tasks.resume import check_resumed_options
from lm_plugins.tasks.resumed_state import resumed_text
from lm_plugins.tasks.same_on_all_ranks import check_same_command
from lm_plugins.tasks.save_dir import prepare_save_dir
from lm_plugins.tasks.starting_point import StartingPoint, check_starting_point
from lm_plugins.tasks.stopping import StoppingMixin
from lm_plugins.tasks.time_limit import check_time_limit
from lm_plugins.tasks.validation import ValidationMixin
from lm_plugins.tasks.validation_schedule import check_patience

logger = logging.getLogger(__name__)


@register_task("recurrent_language_modeling", dataclass=RecurrentLanguageModelingConfig)
class RecurrentLanguageModelingTask(
    StoppingMixin,
    CheckpointingMixin,
    FinetuningMixin,
    IterationMixin,
    ValidationMixin,
    EvaluationMixin,
    GenerationMixin,
    FairseqTask,
):
    """Train and evaluate a recurrent language model on contiguous streams.

    ``--batch-size`` is the number of streams of each process (rank), and ``--tokens-per-sample`` the
    length of a window. Every token of a subset is a target exactly once. Checkpoints hold the state of
    all ranks, so that a resumed run continues exactly where it was saved.
    """

    model_base, criterion_base = RecurrentLanguageModel, LMCrossEntropy  # of what this task builds

    def __init__(self, cfg: RecurrentLanguageModelingConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.unknown_characters: set[str] = set()  # subsets with <unk>, for which bpc is not defined
        self.level = level_of(self.folders[0], cfg.text_level and str(cfg.text_level))
        self.decoder = None  # set by build_model
        self.version = version(cfg.checkpoint_path or "")  # of a model to evaluate, before fairseq reads it
        self.save_dir_lock = None  # of a training, on the first rank
        self.generates = True  # fairseq builds a criterion to train and to validate, and none to generate

    @classmethod
    def setup_task(
        cls, cfg: RecurrentLanguageModelingConfig, **kwargs: Any
    ) -> "RecurrentLanguageModelingTask":
        """Return the task.

        Raises:
            Refused: the options contradict each other, or processes are not connected.
        """
        check_task_options(cfg)
        return cls(cfg, load_dictionary(cfg.data))

    @property
    def source_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        return self.dictionary

    @property
    def folders(self) -> list[str]:
        """The data folders."""
        return utils.split_paths(self.cfg.data)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> BaseFairseqModel:
        """Build the model.

        Raises:
            Refused: it is not recurrent, or the options do not fit it.
        """
        if not from_checkpoint:
            check_training_options(self.cfg)
            check_starting_point(self.cfg)
            self.save_dir_lock = prepare_save_dir(self.cfg)
            check_same_command(self.cfg)
            check_patience(self.cfg)
            start = StartingPoint.read(self.cfg)
            if start is not None:
                check_resumed_options(start, self.cfg)
                check_loaded_weights(start, self.cfg)
                check_time_limit(start, self.cfg)
                self.resumed_text = resumed_text(start, type(self).__name__, self.cfg)
            large_tables.check_options(cfg, self.cfg)
        else:
            upgrade_config(cfg)
        # By type, before anything is built: models of fairseq evaluate strings of a checkpoint as code.
        name = getattr(cfg, "_name", None) or getattr(cfg, "arch", None)
        kind = ARCH_MODEL_REGISTRY.get(name) or MODEL_REGISTRY.get(name)
        if kind is None or not issubclass(kind, self.model_base):
            raise Refused(
                f"the model {name if kind is None else kind.__name__} carries no recurrent state: use an "
                "architecture of lm_plugins, such as --arch awd_lstm_ptb, or --task language_modeling for "
                "other models"
            )
        model = super().build_model(cfg, from_checkpoint)
        self.decoder = model.decoder
        large_tables.exclude_shards_from_ddp(model)
        self.decoder.autocast = {"none": None, "bf16": torch.bfloat16}[str(self.cfg.autocast)]
        return model

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> FairseqCriterion:
        """Build the criterion.

        Raises:
            Refused: it does not fit the model.
        """
        self.generates = False
        kind = CRITERION_REGISTRY.get(cfg._name)
        if kind is None or not issubclass(kind, self.criterion_base):
            raise Refused(
                f"the criterion {cfg._name if kind is None else kind.__name__} does not support the output "
                "layers of lm_plugins: use --criterion lm_cross_entropy, or derive one from LMCrossEntropy"
            )
        criterion = super().build_criterion(cfg, from_checkpoint)
        head = self.decoder.output_head
        check_criterion(cfg._name, head)
        check_head_options(criterion, head)
        if self.graphs is not None and not from_checkpoint:
            on_cpu = self.cfg.cpu or not torch.cuda.is_available()
            check_graphs(self.decoder, criterion, max(self.cfg.update_freq), self.cfg.fp16, on_cpu)
        return criterion

    def set_matmul_precision(self) -> None:
        """Set the precision of this process for --float32-matmul.

        Called where a program asks for batches, and not where a model is built: a model that is loaded in
        Python leaves the precision of its process alone.
        """
        on_cpu = self.cfg.cpu or not torch.cuda.is_available()
        set_matmul_precision(str(self.cfg.float32_matmul), on_cpu)

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Load a subset. If there are several data folders, each epoch of training takes the next one."""
        index = (epoch - 1) % len(self.folders) if split == self.cfg.train_subset else 0
        stream = self.datasets[split] = self.read(self.folders[index], split, combine)
        if self.level in OF_ONE_CHARACTER:
            unknown = int(stream.counts(len(self.dictionary))[self.dictionary.unk()])
            self.unknown_characters.discard(split)
            if unknown:
                self.unknown_characters.add(split)
                logger.info(f"'{split}' has {unknown:,} unknown characters: no bits per character are logged")

    def read(self, folder: str, split: str, combine: bool) -> TokenStream:
        return load_token_stream(folder, split, self.dictionary, self.cfg.dataset_impl, combine)

    def training_counts(self) -> Tensor:
        """Count each symbol in the training data, [V]; dict.txt does not count </s> and <unk>."""
        split, size = self.cfg.train_subset, len(self.dictionary)
        loaded = self.dataset(split)  # from one of the folders
        return sum(
            (loaded if loaded.folder == folder else self.read(folder, split, combine=True)).counts(size)
            for folder in self.folders
        )
