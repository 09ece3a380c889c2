"""What fairseq-generate and fairseq-interactive ask of the task."""

import torch

from lm_plugins.data.prompts import Prompts
from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused


class Generates:
    """For a task with a `dictionary` and `folders`."""

    def build_dataset_for_inference(self, src_tokens, src_lengths, **kwargs):
        """The lines that fairseq-interactive reads, as prompts; their last token is </s>."""
        return Prompts([line[:-1] for line in src_tokens], self.dictionary.pad(), self.dictionary.eos())

    def inference_step(self, generator, models, sample, prefix_tokens=None, constraints=None):
        """Continues each prompt up to a </s>, which also stands before it."""
        if constraints is not None:
            raise Refused("--constraints are for translation: leave them out")
        prompts = sample["net_input"]["src_tokens"]
        if prefix_tokens is None and prompts.size(1) > 1:
            prefix_tokens = prompts[:, 1:]
        longest = generator.max_len_a * prompts.size(1) + generator.max_len_b
        if prefix_tokens is not None and prefix_tokens.size(1) >= longest:
            raise Refused(
                f"a prompt of {prefix_tokens.size(1)} tokens leaves no room in a text of {longest:g}: give a "
                "larger --max-len-b, or a --prefix-size"
            )
        with torch.no_grad():
            return generator.generate(
                models, sample, prefix_tokens=prefix_tokens, bos_token=self.dictionary.eos()
            )

    def build_bpe(self, args):
        """Text of bytes, characters or pieces is coded as the corpus was, unless --bpe says otherwise."""
        return super().build_bpe(args) or text_codec(self.dictionary, self.folders[0])
