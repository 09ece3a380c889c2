"""The decoder that all recurrent language models share.

embedding -> dropout -> layer 1 -> dropout -> ... -> layer L -> dropout -> output layer

Where each dropout sits follows AWD-LSTM (Merity et al. 2017, arXiv:1708.02182); with
``--dropout-mask step`` it is the non-recurrent dropout of Zaremba et al. (2014, arXiv:1409.2329).
"""

from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.models import FairseqIncrementalDecoder
from torch import nn

from lm_plugins.data.dictionary import digest
from lm_plugins.errors import Refused
from lm_plugins.models.carried_state import CarriedState, map_tensors, stream_name
from lm_plugins.models.output_layers import OutputLayerConfig, build_output_layer
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.locked_dropout import LockedDropout, StepDropout
from lm_plugins.modules.split_vocabulary import SplitVocabulary
from lm_plugins.ops.resets import Resets


@dataclass
class RecurrentDecoderConfig(OutputLayerConfig):
    """Sizes and dropouts; the defaults are AWD-LSTM's on Penn Treebank before tuning."""

    decoder_embed_dim: int = field(
        default=400, metadata={"help": "size of the word embeddings (awd-lstm-lm: emsize, 400)"}
    )
    decoder_hidden_size: int = field(
        default=1150,
        metadata={
            "help": "units per recurrent layer; for the last layer see --decoder-last-size (awd-lstm-lm: "
            "nhid, 1150)"
        },
    )
    decoder_last_size: Optional[int] = field(
        default=None,
        metadata={
            "help": "units of the last recurrent layer; default: --decoder-embed-dim if the embeddings are "
            "tied, else --decoder-hidden-size; with tied embeddings, only a mixture of softmaxes can use "
            "another value (mos: nhidlast, 620 on PTB)"
        },
    )
    decoder_layers: int = field(
        default=3, metadata={"help": "number of recurrent layers (awd-lstm-lm: nlayers, 3)"}
    )
    sample_break_mode: ChoiceEnum(["none", "eos"]) = field(
        default="none",
        metadata={
            "help": "none: train on continuous text and carry the recurrent state across sentences; eos: "
            "treat each line as an independent sentence, shuffle the training sentences in every epoch and "
            "reset the state at each </s> (Google Billion Words)"
        },
    )
    dropout: float = field(
        default=0.4,
        metadata={
            "help": "dropout probability on the last layer's output, in [0, 1) (awd-lstm-lm: dropout, 0.4)"
        },
    )
    hidden_dropout: float = field(
        default=0.3,
        metadata={
            "help": "dropout probability on the outputs of all other layers, in [0, 1) (awd-lstm-lm: "
            "dropouth; AWD-LSTM: 0.25 on PTB, 0.2 on WikiText-2)"
        },
    )
    input_dropout: float = field(
        default=0.65,
        metadata={
            "help": "dropout probability on the embedded input, in [0, 1) (awd-lstm-lm: dropouti; AWD-LSTM: "
            "0.4 on PTB, 0.65 on WikiText-2)"
        },
    )
    embedding_dropout: float = field(
        default=0.1,
        metadata={
            "help": "probability of dropping a word's entire embedding, in [0, 1) (awd-lstm-lm: dropoute, "
            "0.1)"
        },
    )
    weight_dropout: float = field(
        default=0.5,
        metadata={
            "help": "DropConnect probability on the hidden-to-hidden weights, in [0, 1) (awd-lstm-lm: "
            "wdrop, 0.5)"
        },
    )
    dropout_mask: ChoiceEnum(["locked", "step"]) = field(
        default="locked",
        metadata={
            "help": "locked: use one dropout mask for all time steps of a window (AWD-LSTM); step: draw a "
            "new mask at each time step (Zaremba et al. 2014)"
        },
    )
    init_range: float = field(
        default=0.1,
        metadata={
            "help": "half-width R of the uniform distribution on [-R, R] that initialises the embeddings "
            "and the output matrix of an untied softmax or mixture of softmaxes (awd-lstm-lm: 0.1)",
        },
    )
    rnn_init_range: Optional[float] = field(
        default=None,
        metadata={
            "help": "half-width R of the uniform distribution on [-R, R] that initialises the recurrent "
            "layers; default: PyTorch's initialisation (Zaremba et al. 2014: 0.1, 0.05 and 0.04 for the "
            "small, medium and large LSTM)"
        },
    )


class RecurrentDecoder(FairseqIncrementalDecoder):
    """Embedding, L recurrent layers and an output layer, with the state carried between windows.

    Args:
        cfg (RecurrentDecoderConfig): sizes and dropouts
        dictionary: fairseq dictionary of V symbols
        layers: L modules, ``layer(x, state, reset) -> (y, state)``, time-major
        layer_input_dropout: further dropout on the input of layers 2..L, a probability each
    """

    def __init__(self, cfg, dictionary, layers, layer_input_dropout=None):
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
        mask = {"locked": LockedDropout, "step": StepDropout}[str(cfg.dropout_mask)]
        self.input_dropout = mask(cfg.input_dropout)
        between = [
            nn.Sequential(mask(cfg.hidden_dropout), mask(p))
            for p in layer_input_dropout or [0.0] * (len(self.layers) - 1)
        ]
        self.output_dropouts = nn.ModuleList([*between, mask(cfg.dropout)])
        self.output_head = build_output_layer(cfg, layer_sizes(cfg)[-1], dictionary, self.embed_tokens)
        self.independent_sentences = str(cfg.sample_break_mode) == "eos"
        self.carried = CarriedState(self.layers)
        self.autocast = None  # dtype of the matrix products and layers in training; None: the weights'
        # Integers that name the dictionary: a checkpoint is refused where they differ.
        self.register_buffer("dictionary_digest", digest(dictionary))

    def forward(
        self,
        src_tokens,
        src_lengths=None,
        target=None,
        stream=None,
        step=None,
        loss=None,
        learns=False,
        incremental_state=None,
        **_,
    ):
        """One window of a stream, its state taken from the window before and left for the next.

        Args:
            src_tokens: [B, T]
            target: [B, T] or None
            stream: name of the stream
            step: number of the window, from 0
            loss: what to compute in place of -ln p(target), here, where DDP sees the parameters:
                function of (output layer, features [T, B, C], target [T, B]) -> [T, B]
            learns: the loss gets features with a graph also where gradients are off (dynamic evaluation)
            incremental_state: a dictionary that carries the state in place of a stream, in generation

        Returns:
            ``(log_prob, extra)`` with log_prob = ln p(target) in nats, [B, T, 1]; without `target`,
            ``(features, extra)`` with features [B, T, C]. Extra holds the last layer's output,
            `rnn_output` and `dropped_rnn_output`, [T, B, C]. With `incremental_state`, ln p of the token
            after the last one, [B, 1, V].
        """
        if incremental_state is not None:
            return self.next_token(src_tokens[:, -1:], incremental_state)
        if stream is None or step is None:
            raise Refused(
                "the batch does not say which window of which stream it is, so that the recurrent state "
                "cannot be carried over: use --task recurrent_language_modeling"
            )
        source = src_tokens.t()
        stream = stream_name(stream, self.training)
        autocast = self.training and bool(self.autocast)
        with (
            torch.set_grad_enabled(learns or torch.is_grad_enabled()),
            torch.autocast(source.device.type, self.autocast, enabled=autocast),
        ):
            features, state, extra = self.extract_features(source, self.carried.enter(stream, step, source))
            self.carried.leave(stream, step, state, keep=self.training)
            if target is None:
                return features.transpose(0, 1), extra
            nll = (loss or type(self.output_head).nll)(self.output_head, features, target.t())
        return -nll.t().unsqueeze(-1), {**extra, "target_only": True}

    def next_token(self, last, incremental_state):
        """ln p over the vocabulary, [B, 1, V], after the token `last` [B, 1] and those before it."""
        features, incremental_state["layers"], _ = self.extract_features(
            last.t(), incremental_state.get("layers")
        )
        return self.output_head.log_prob(features.transpose(0, 1)), {"attn": None, "log_prob": True}

    def reorder_incremental_state(self, incremental_state, new_order):
        """Row b becomes what row ``new_order[b]`` was."""
        reordered = map_tensors(lambda part: part.index_select(0, new_order), incremental_state.get("layers"))
        incremental_state["layers"] = reordered

    def extract_features(self, source, state=None):
        """From `source` [T, B] and the state of every layer to ``(features [T, B, C], state, extra)``."""
        x = self.input_dropout(self.embed_tokens(source))
        state = state if state is not None else [None] * len(self.layers)
        left = []
        # </s> is the input before a sentence's first word.
        reset = Resets(source == self.dictionary.eos()) if self.independent_sentences else None
        for layer, entered, dropout in zip(self.layers, state, self.output_dropouts, strict=True):
            raw, out = layer(x, entered, reset)
            left.append(out)
            x = dropout(raw)
        return x, left, {"rnn_output": raw, "dropped_rnn_output": x}

    def output_layer(self, features):
        """fairseq's name for the projection to the vocabulary: ln p, [..., V]."""
        return self.output_head.log_prob(features)

    def get_normalized_probs(self, net_output, log_probs, sample=None):
        """p or ln p over the vocabulary, [B, T, V].

        Where only the targets were scored, theirs stands at every symbol, with stride 0: fairseq's
        scorer gathers the target from it, and nothing of size V is made.
        """
        output, extra = net_output[:2]
        if extra.get("target_only"):
            if not torch.isfinite(output).all():
                raise Refused(
                    "the model assigns a target a probability of zero or NaN, which fairseq would leave "
                    "out of the perplexity: training has diverged, use an earlier checkpoint"
                )
            log_prob = output.expand(*output.shape[:-1], len(self.dictionary))
        elif extra.get("log_prob"):  # fairseq divided it by the temperature
            log_prob = torch.log_softmax(output, dim=-1)
        else:
            log_prob = self.output_head.log_prob(output)
        return log_prob if log_probs else log_prob.exp()

    def set_num_updates(self, num_updates):
        self.carried.begin_update(num_updates)

    def upgrade_state_dict_named(self, state_dict, name):
        """Refuses the weights of a model with another dictionary, before they are copied."""
        saved = state_dict.get(f"{name}.dictionary_digest")
        if saved is not None and not torch.equal(saved.cpu(), self.dictionary_digest.cpu()):
            raise Refused(
                f"the checkpoint was trained with a different dictionary from the {len(self.dictionary)} "
                "symbols of this data folder: binarize the text with fairseq-preprocess --srcdict "
                "and the dict.txt of the training data"
            )
        return state_dict


def layer_sizes(cfg):
    """[input of layer 1, output of layer 1, ..., output of layer L]."""
    tied = cfg.share_decoder_input_output_embed
    last = cfg.decoder_last_size or (cfg.decoder_embed_dim if tied else cfg.decoder_hidden_size)
    return [cfg.decoder_embed_dim, *[cfg.decoder_hidden_size] * (cfg.decoder_layers - 1), last]
