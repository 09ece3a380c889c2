"""The error of a run that is refused."""


class Refused(ValueError):
    """A run that cannot give a right number.

    The message is one sentence: what is wrong, where, and what to do. fairseq's programs print it without
    a traceback (:mod:`lm_plugins.excepthook`).
    """
