"""Flags of a command line: their type, and the flag of an option."""

Flags = dict[str, str | None]  # {flag: value}; the value of a flag without one is None


def flag_of(name: str) -> str:
    """Return the flag of the option `name`: "--max-epoch" of max_epoch."""
    return "--" + name.replace("_", "-")
