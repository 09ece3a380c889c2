"""Score and continue a text with an exported model, using only numpy and onnxruntime, not torch or fairseq.

python -m lm_plugins.export checkpoints lm.onnx
python examples/onnx_lm.py lm.onnx "the company said"
"""

import json
import sys

import numpy as np
import onnxruntime
from onnx_codecs import decode, encode


class LanguageModel:
    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.symbols, self.level = json.loads(metadata["dictionary"]), metadata["level"]
        self.ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        self.pieces = path.removesuffix(".onnx").removesuffix(".int8") + ".sentencepiece.model"

    def encode(self, text):
        lines = [[*encode(self.level, line, self.pieces), "</s>"] for line in text.split("\n")]
        return [self.ids.get(symbol, self.ids["<unk>"]) for line in lines for symbol in line][:-1]

    def read(self, index, state=None):
        """Return (ln p of the next token [V], new state) after the token `index`."""
        ids, *states = self.session.get_inputs()
        state = state or [np.zeros((1, *value.shape[1:]), np.float32) for value in states]
        feeds = {value.name: array for value, array in zip(states, state, strict=True)}
        log_prob, *state = self.session.run(None, {ids.name: np.array([index]), **feeds})
        return log_prob[0], state

    def score(self, text):
        """Return ln p of each token of `text`, in nats."""
        scores, (log_prob, state) = [], self.read(self.ids["</s>"])
        for index in self.encode(text):
            scores.append(float(log_prob[index]))
            log_prob, state = self.read(index, state)
        return scores

    def sample(self, text, length, temperature=0.8, seed=1):
        """Return `text` with a continuation of `length` tokens."""
        ids, draw = self.encode(text), np.random.default_rng(seed)
        log_prob, state = self.read(self.ids["</s>"])
        for n in range(length + len(ids)):
            if n == len(ids):
                log_prob[[self.ids["<pad>"], self.ids["<s>"]]] = -np.inf  # never in a text
                p = np.exp((log_prob - log_prob.max()) / temperature)
                ids.append(int(draw.choice(len(p), p=p / p.sum())))
            log_prob, state = self.read(ids[n], state)
        lines = " ".join(self.symbols[index] for index in ids).split("</s>")
        return "\n".join(decode(self.level, line.split()) for line in lines)


if __name__ == "__main__":
    model, text = LanguageModel(sys.argv[1]), sys.argv[2]
    print(json.dumps({"log_probs": model.score(text), "sample": model.sample(text, 20)}))
