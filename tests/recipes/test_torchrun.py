"""What a user sees of a run that torchrun started: sentences, and none of its own log."""

import pytest

from recipes.torchrun import explanation

INFORMATION = "I1128 18:47:44.352000 22427 elastic/agent/server/api.py:932] finished."
FAILED = "E1128 18:48:21.635000 22489 elastic/multiprocessing/api.py:1002] failed (exitcode: 1)"
TRACEBACK = ["Traceback (most recent call last):", '  File "torchrun", line 8, in <module>']
ERROR = "lm_plugins: error: --lr is 0"
MEETING = "torch.distributed.elastic.rendezvous.api.Rendezvous"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([INFORMATION], []),
        ([f"[rank0]: {ERROR}", f"[rank1]: {ERROR}", FAILED, *TRACEBACK], [ERROR]),
        ([ERROR, FAILED, *TRACEBACK], [ERROR]),
        ([INFORMATION, FAILED, *TRACEBACK, "ChildFailedError"], [FAILED, *TRACEBACK, "ChildFailedError"]),
    ],
)
def test_sentences_of_the_processes_are_shown_once(lines, shown):
    assert explanation(lines, 2, "host:29500") == shown


def test_the_node_that_connects_them_ends():
    asked = '  File "dynamic_rendezvous.py", line 1206, in num_nodes_waiting'
    lines = [
        INFORMATION,
        *TRACEBACK,
        asked,
        MEETING + "ConnectionError: The connection to the store has failed.",
    ]
    (sentence,) = explanation(lines, 2, "host:29500")
    assert sentence.startswith("error: the node at host:29500 has ended: see its output")


@pytest.mark.parametrize("error", ["TimeoutError", "ConnectionError: no store"])
def test_nodes_that_do_not_meet(error):
    (sentence,) = explanation([INFORMATION, *TRACEBACK, MEETING + error], 2, "host:29500")
    assert sentence.startswith(
        "error: the 2 nodes did not meet at host:29500: start the recipe on all of them"
    )
