"""Read what torchrun prints around the output of its processes."""

import re

# A record of torchrun's log begins with its level, the date and the time.
INFORMATION = re.compile(r"[DIV]\d{4} \d\d:\d\d:\d\d\.\d+ ")
SENTENCE = re.compile(r"(?:\[rank\d+\]: ?)?(lm_plugins: error: .*)")
NO_MEETING = re.compile(r"torch\.distributed\.elastic\.rendezvous\S*\.Rendezvous(Timeout|Connection)Error\b")
RUNNING = "in num_nodes_waiting"  # in the traceback of that error, if the nodes had met


def explanation(lines: list[str], nodes: int, rendezvous: str) -> list[str]:
    """Return the part of the last lines of a run that a user needs.

    These are the sentences with which its processes refused something, each once, without the traceback that
    torchrun prints after them. If there are none, one sentence says that the nodes did not meet, or that the
    node which connects them has ended. Otherwise, these are all lines but the information that torchrun logs.
    """
    if sentences := dict.fromkeys(match[1] for line in lines if (match := SENTENCE.match(line))):
        return list(sentences)
    if any(NO_MEETING.match(line) for line in lines):
        if any(RUNNING in line for line in lines):
            return [
                f"error: the node at {rendezvous} has ended: see its output, and run the same command again "
                "on all nodes"
            ]
        return [
            f"error: the {nodes} nodes did not meet at {rendezvous}: start the recipe on all of them within "
            "10 minutes, and give an address of one of them that the others can reach"
        ]
    return [line for line in lines if INFORMATION.match(line) is None]
