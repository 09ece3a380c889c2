"""What fairseq-generate and fairseq-interactive ask of the task."""

import torch
from fairseq.sequence_scorer import SequenceScorer

from lm_plugins.data.prompts import Prompts
from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused


class Generates:
    """For a task with a `dictionary` and `folders`."""

    def build_dataset_for_inference(self, src_tokens, src_lengths, **kwargs):
        """The lines that fairseq-interactive reads, as prompts; their last token is </s>."""
        return Prompts([line[:-1] for line in src_tokens], self.dictionary.pad(), self.dictionary.eos())

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """Continue each prompt up to a ``</s>``, or score it where `generator` is fairseq's scorer."""
        if constraints is not None:
            raise Refused("--constraints are for translation: leave them out")
        with torch.no_grad():
            if isinstance(generator, SequenceScorer):
                return self.score(generator, models, sample)
            return self.continue_prompts(generator, models, sample, prefix_tokens)

    def score(self, scorer, models, sample):
        """Return ln p of each target, as ``fairseq-generate --score-reference`` and ``score`` ask for it."""
        target = sample.get("target")
        if target is None:
            raise Refused("fairseq-interactive has nothing to score: give fairseq-generate --score-reference")
        if target.eq(self.dictionary.pad()).all(dim=1).any():
            raise Refused("there is nothing to score in an empty text: give some words")
        where = {"target": target, "stream": "sentences", "step": 0}
        hypotheses = scorer.generate(models, sample | {"net_input": sample["net_input"] | where})
        sample["target"] = None
        return hypotheses

    def continue_prompts(self, generator, models, sample, prefix_tokens):
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

    def build_bpe(self, args):
        """Text of bytes, characters or pieces is coded as the corpus was, unless --bpe says otherwise."""
        return super().build_bpe(args) or text_codec(self.dictionary, self.folders[0])
