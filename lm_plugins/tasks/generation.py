"""Serve fairseq-generate and fairseq-interactive."""

from typing import Any

import torch
from fairseq.sequence_scorer import SequenceScorer
from torch import Tensor

from lm_plugins.data.prompts import Prompts
from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused

Sample = dict[str, Any]  # a batch, as fairseq's generators take it
Hypotheses = list[list[dict[str, Any]]]  # for each text of a batch, the best first


class GenerationMixin:
    """Serve fairseq-generate and fairseq-interactive.

    For a task with a `dictionary`, `folders` and a `level`.
    """

    def build_dataset_for_inference(
        self, src_tokens: list[Tensor], src_lengths: list[int], **kwargs: Any
    ) -> Prompts:
        """Return the lines that fairseq-interactive reads as prompts, each without its </s>."""
        return Prompts([line[:-1] for line in src_tokens], self.dictionary.pad(), self.dictionary.eos())

    def inference_step(
        self,
        generator: Any,
        models: list[torch.nn.Module],
        sample: Sample,
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
    ) -> Hypotheses:
        """Continue each prompt up to a ``</s>``, or score it where `generator` is fairseq's scorer."""
        if constraints is not None:
            raise Refused("--constraints is for translation: leave it out")
        with torch.no_grad():
            if isinstance(generator, SequenceScorer):
                return self.score(generator, models, sample)
            return self.continue_prompts(generator, models, sample, prefix_tokens)

    def score(self, scorer: SequenceScorer, models: list[torch.nn.Module], sample: Sample) -> Hypotheses:
        """Return ln p of each target, as ``fairseq-generate --score-reference`` and ``score`` ask for it."""
        target = sample.get("target")
        if target is None:
            raise Refused("fairseq-interactive has nothing to score: use fairseq-generate --score-reference")
        if target.eq(self.dictionary.pad()).all(dim=1).any():
            raise Refused("there is nothing to score in an empty text: give some words")
        arguments = {"target": target, "stream": "sentences", "step": 0}
        hypotheses = scorer.generate(models, sample | {"net_input": sample["net_input"] | arguments})
        sample["target"] = None
        return hypotheses

    def continue_prompts(
        self,
        generator: Any,
        models: list[torch.nn.Module],
        sample: Sample,
        prefix_tokens: Tensor | None,  # [B, P]
    ) -> Hypotheses:
        """Return the generator's continuations of each prompt: of the source, or of its first P tokens.

        Raises:
            Refused: the prompt is as long as the longest text that may be written
        """
        pad, eos = self.dictionary.pad(), self.dictionary.eos()
        prompts = sample["net_input"]["src_tokens"]
        if prefix_tokens is not None:
            prefix_tokens = prefix_tokens.masked_fill(prefix_tokens.eq(eos), pad)
        elif prompts.size(1) > 1:
            prefix_tokens = prompts[:, 1:]
        longest = generator.max_len_a * prompts.size(1) + generator.max_len_b
        if prefix_tokens is not None and prefix_tokens.size(1) >= longest:
            raise Refused(
                f"a prompt of {prefix_tokens.size(1)} tokens leaves no room in a text of {longest:g}: give a "
                "larger --max-len-b, or a --prefix-size"
            )
        sample["target"] = None  # else fairseq ends with the BLEU of a continuation against its own prompt
        return generator.generate(models, sample, prefix_tokens=prefix_tokens, bos_token=eos)

    def build_bpe(self, args: Any) -> Any:
        """Return the codec of --bpe, or, without --bpe, the one that encoded the corpus."""
        return super().build_bpe(args) or text_codec(self.level, self.folders[0])
