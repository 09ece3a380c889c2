"""Read what torchrun prints around the output of its processes."""

import re

INFORMATION = re.compile(
    r"[DIV]\d{4} \d\d:\d\d:\d\d\.\d+ "
)  # a record of torchrun's log: level, date and time
SENTENCE = re.compile(r"(?:\[rank\d+\]: ?)?(lm_plugins: error: .*)")
NO_MEETING = re.compile(r"torch\.distributed\.elastic\.rendezvous\S*\.Rendezvous(Timeout|Connection)Error\b")


def explanation(lines: list[str], nodes: int, rendezvous: str) -> list[str]:
    """Return the part of the last lines of a run that a user needs.

    These are the sentences with which its processes refused something, each once, or what kept the nodes from
    meeting. torchrun prints a traceback of its own after them. If there is neither, all lines are needed but
    the information that torchrun logs.
    """
    if sentences := dict.fromkeys(match[1] for line in lines if (match := SENTENCE.match(line))):
        return list(sentences)
    if any(NO_MEETING.match(line) for line in lines):
        return [
            f"error: the {nodes} nodes did not meet at {rendezvous}: start the recipe on all of them within "
            "10 minutes, and give an address of one of them that the others can reach"
        ]
    return [line for line in lines if INFORMATION.match(line) is None]
