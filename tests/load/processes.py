"""What processes take: time of the processor, memory and descriptors, as the kernel counts them."""

import threading
import time
from dataclasses import dataclass

import psutil


@dataclass
class Taken:
    """What a process and those that it started took."""

    # Seconds, since they began.
    cpu: float = 0.0
    # Resident bytes now.
    memory: int = 0
    descriptors: int = 0


class Tree:
    """A process with all that it started, but for those that are looked at by themselves."""

    def __init__(self, pid: int, without: list[int] | None = None) -> None:
        self.root, self.without = psutil.Process(pid), set(without or [])

    def members(self) -> list[psutil.Process]:
        return [each for each in (self.root, *self.root.children(recursive=True)) if each.pid not in self.without]

    def child(self, name: str) -> int:
        """The one that it started of this name."""
        return next(each.pid for each in self.root.children() if each.name() == name)

    def taken(self) -> Taken:
        taken = Taken()
        for member in self.members():
            try:
                with member.oneshot():
                    times = member.cpu_times()
                    # What a child took is its parent's once it has ended.
                    taken.cpu += times.user + times.system + times.children_user + times.children_system
                    taken.memory += member.memory_info().rss
                    taken.descriptors += member.num_fds()
            except psutil.NoSuchProcess:
                continue
        return taken

    def proportional(self) -> int:
        """Bytes, of which those that several processes share are divided among them (PSS)."""
        return sum(member.memory_full_info().pss for member in self.members())


class Watch:
    """Looks at processes all the time, as long as its block lasts."""

    def __init__(self, trees: dict[str, Tree], every_s: float = 1.0) -> None:
        self.trees, self.every_s = trees, every_s
        self.samples: list[tuple[float, dict[str, Taken]]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def look(self) -> None:
        while not self.over.wait(self.every_s):
            self.samples.append((time.time(), {name: tree.taken() for name, tree in self.trees.items()}))

    def between(self, start: float, end: float) -> list[tuple[float, dict[str, Taken]]]:
        return [sample for sample in self.samples if start <= sample[0] <= end]

    def cpu(self, name: str, start: float, end: float) -> float:
        """The share of one core that was taken between two moments."""
        samples = self.between(start, end)
        if len(samples) < 2:
            return 0.0
        (began, first), (ended, last) = samples[0], samples[-1]
        return (last[name].cpu - first[name].cpu) / (ended - began)
