"""Statistics of the pretended GPU's memory."""

from typing import Any


class Memory:
    """The statistics of the allocator in bytes: what is allocated, and the peak since the last reset."""

    def __init__(self) -> None:
        self.allocated = self.peak = 1 << 30
        self.step = 0  # what a forward or backward pass needs

    def reset(self, *device: Any) -> None:
        self.peak = self.allocated

    def use(self) -> None:
        """Take note of a matrix product."""
        self.peak = max(self.peak, self.step)

    def nested(self, *device: Any) -> dict[str, Any]:
        return {"allocated_bytes": {"all": {"current": self.allocated, "peak": self.peak}}}
