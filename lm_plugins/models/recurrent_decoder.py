"""The decoder that all recurrent language models share.

embedding -> dropout -> layer 1 -> dropout -> ... -> layer L -> dropout -> head (output layer)

The dropouts are those of AWD-LSTM (Merity et al. 2017, arXiv:1708.02182), or with ``--dropout-mask step`` the
non-recurrent dropout of Zaremba et al. (2014, arXiv:1409.2329).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor, nn

from lm_plugins.data.dictionary import digest
from lm_plugins.errors import Refused
from lm_plugins.models.carried_state import CarriedState, check_initial_state, stream_name
from lm_plugins.models.decoder_config import RecurrentDecoderConfig, layer_sizes
from lm_plugins.models.heads import build_head
from lm_plugins.models.nested_state import map_tensors
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.head import Loss
from lm_plugins.modules.locked_dropout import LockedDropout, StepDropout
from lm_plugins.modules.split_vocabulary import SplitVocabulary
from lm_plugins.ops.negation import negation
from lm_plugins.ops.resets import Resets


class RecurrentDecoder(FairseqIncrementalDecoder):
    """Embedding, L recurrent layers and a head, with the recurrent state carried from window to window.

    Args:
        cfg: sizes and dropouts
        dictionary: V symbols
        layers: L modules, ``layer(x, state, reset) -> (y, new_state)``, time-major
    """

    def __init__(self, cfg: RecurrentDecoderConfig, dictionary: Dictionary, layers: Sequence[nn.Module]):
        super().__init__(dictionary)
        self.embed_tokens = Embedding(
            len(dictionary),
            cfg.decoder_embed_dim,
            cfg.init_range,
            dropout=cfg.embedding_dropout,
            sparse=cfg.sparse_embedding_grad,
            split=SplitVocabulary(len(dictionary)) if cfg.split_vocabulary else None,
        )
        self.layers = nn.ModuleList(layers)
        for number, layer in enumerate(self.layers, start=1):
            check_initial_state(layer, number)
        mask = {"locked": LockedDropout, "step": StepDropout}[str(cfg.dropout_mask)]
        self.input_dropout = mask(cfg.input_dropout)
        probabilities = [*[cfg.hidden_dropout] * (len(self.layers) - 1), cfg.dropout]
        self.output_dropouts = nn.ModuleList(mask(p) for p in probabilities)
        self.output_head = build_head(cfg, layer_sizes(cfg)[-1], dictionary, self.embed_tokens)
        self.independent_sentences = str(cfg.sample_break_mode) == "eos"
        self.carried = CarriedState(self.layers)
        self.autocast = None  # dtype of the matrix products and layers in training; None: the weights'
        # Integers that identify the dictionary: a checkpoint with other integers is refused.
        self.register_buffer("dictionary_digest", digest(dictionary))

    def forward(
        self,
        src_tokens: Tensor,  # [B, T]
        src_lengths: Tensor | None = None,
        target: Tensor | None = None,  # [B, T]
        stream: str | None = None,
        step: int | None = None,
        loss: Loss | None = None,
        scorer: Callable[..., Tensor] | None = None,
        counted: Tensor | None = None,  # [B, T]
        host_target: np.ndarray | None = None,  # [B, T]
        incremental_state: dict[str, Any] | None = None,
        **_,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Run one window of a stream, from the state at its start; store the state for the next window.

        Args:
            src_tokens: ids of the inputs
            target: ids of the tokens to score
            stream: name of the stream
            step: number of the window in its stream, from 0
            loss: a function to compute in place of -ln p(target). It is called in here because
                DistributedDataParallel sees only the parameters that forward uses.
            scorer: in evaluation, a function to compute in place of the loss (evaluation/scorers.py)
            counted: for the scorer, True where a target counts
            host_target: `target` in the host's memory, so that a head need not wait for a GPU to count it; an
                array, since fairseq moves tensors to the GPU
            incremental_state: in generation, a dictionary that carries the state in place of a stream

        Returns:
            ``(log_prob, extra)`` with log_prob = ln p(target) in nats, or minus the `loss`, [B, T, 1].
            Without `target`, ``(features, extra)`` with features [B, T, C]. For `extra` see
            :meth:`extract_features`. With `incremental_state`, ln p of the token that follows the last one,
            [B, 1, V].

        Raises:
            Refused: the batch has no stream or no step, or its windows are out of order.
        """
        if incremental_state is not None:
            return self.next_token(src_tokens[:, -1:], incremental_state)
        if stream is None or step is None:
            raise Refused(
                "the batch does not say which window of which stream it is, so the recurrent state cannot be "
                "carried over: use --task recurrent_language_modeling"
            )
        source = src_tokens.t()
        stream = stream_name(stream, self.training)
        autocast = self.training and bool(self.autocast)
        with (
            torch.set_grad_enabled(torch.is_grad_enabled() or (scorer is not None and scorer.needs_graph)),
            torch.autocast(source.device.type, self.autocast, enabled=autocast),
        ):
            features, state, extra = self.extract_features(source, self.carried.enter(stream, step, source))
            self.carried.leave(stream, step, state, keep=self.training)
            if target is None:
                return features.transpose(0, 1), extra
            if scorer is not None:
                nll = scorer(self.output_head, features, target.t(), counted.t())
            elif loss is not None:
                nll = loss(self.output_head, features, target.t())
            else:
                nll = self.output_head.nll(features, target.t(), **self.output_head.host_facts(host_target))
        return negation(nll.t().unsqueeze(-1)), {**extra, "target_only": True}

    def next_token(self, last: Tensor, incremental_state: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Return ln p of the token that follows `last` [B, 1] and the ones before it: [B, 1, V]."""
        features, incremental_state["layers"], _ = self.extract_features(
            last.t(), incremental_state.get("layers")
        )
        return self.output_head.log_prob(features.transpose(0, 1)), {"attn": None, "log_prob": True}

    def reorder_incremental_state(self, incremental_state: dict[str, Any], new_order: Tensor) -> None:
        """Replace the state of row b by that of row ``new_order[b]``."""
        reordered = map_tensors(
            lambda tensor: tensor.index_select(0, new_order), incremental_state.get("layers")
        )
        incremental_state["layers"] = reordered

    def extract_features(
        self, source: Tensor, states: list | None = None
    ) -> tuple[Tensor, list, dict[str, Tensor | None]]:
        """Run the layers over a window.

        Args:
            source: [T, B] ids
            states: the state of every layer; None: zeros

        Returns:
            (features [T, B, C], new states, extra). `extra` has the output of the last layer before and
            after dropout, `rnn_output` and `dropped_rnn_output`, [T, B, C], and `reset`, [T, B], which is
            True where the state is reset before the step, or None if it never is.
        """
        x = self.input_dropout(self.embed_tokens(source))
        states = states if states is not None else [None] * len(self.layers)
        new_states = []
        # </s> is the input before the first word of a sentence.
        reset = Resets(source == self.dictionary.eos()) if self.independent_sentences else None
        for layer, state, dropout in zip(self.layers, states, self.output_dropouts, strict=True):
            y, new_state = layer(x, state, reset)
            new_states.append(new_state)
            x = dropout(y)
        mask = None if reset is None else reset.mask
        return x, new_states, {"rnn_output": y, "dropped_rnn_output": x, "reset": mask}

    def output_layer(self, features: Tensor) -> Tensor:
        """Return ln p over the vocabulary, [..., V]; the name is fairseq's."""
        return self.output_head.log_prob(features)

    def get_normalized_probs(
        self, net_output: tuple, log_probs: bool, sample: dict | None = None
    ) -> Tensor:  # [B, T, V]
        """Return p or ln p over the vocabulary.

        If only the targets were scored, the result of each target is broadcast over V with stride 0:
        fairseq's scorer gathers the target from it, and no tensor of size V is allocated.

        Raises:
            Refused: the probability of a target is zero or NaN.
        """
        output, extra = net_output[:2]
        if extra.get("target_only"):
            if not torch.isfinite(output).all():
                raise Refused(
                    "the model assigns a target a probability of zero or NaN, which fairseq would leave "
                    "out of the perplexity: training has diverged, use an earlier checkpoint"
                )
            output = output if log_probs else output.exp()
            return output.expand(*output.shape[:-1], len(self.dictionary))
        if extra.get("log_prob"):  # which fairseq has divided by the temperature
            log_prob = torch.log_softmax(output, dim=-1)
        else:
            log_prob = self.output_head.log_prob(output)
        return log_prob if log_probs else log_prob.exp()

    def set_num_updates(self, num_updates: int) -> None:
        self.carried.begin_update(num_updates)

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> dict[str, Tensor]:
        """Refuse the weights of a model with another dictionary, before they are copied."""
        saved = state_dict.get(f"{name}.dictionary_digest")
        if saved is not None and not torch.equal(saved.cpu(), self.dictionary_digest.cpu()):
            raise Refused(
                f"the checkpoint was trained with a different dictionary from the {len(self.dictionary)} "
                "symbols of this data folder: binarize the text with fairseq-preprocess --srcdict "
                "and the dict.txt of the training data"
            )
        return state_dict
