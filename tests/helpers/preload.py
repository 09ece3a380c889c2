"""Import what all tested programs import, in the server that they are forked from (tests/helpers/runner.py).

Nothing here may import the plug-in, which each run imports itself.
"""

import gc
import importlib

MODULES = (
    "fairseq_cli.train",  # first: it sets the format of the log
    "fairseq_cli.eval_lm",
    "fairseq_cli.validate",
    "fairseq_cli.generate",
    "fairseq_cli.interactive",
    "fairseq_cli.preprocess",
    "torch._dynamo",  # by the first optimizer, which takes longer than a short training
)

for module in MODULES:
    importlib.import_module(module)
gc.freeze()  # a collection in a run would visit, and so copy, all of the server's objects
