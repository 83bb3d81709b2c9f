"""Whether memory and descriptors stay flat."""

from pathlib import Path
from statistics import median

import report
from figures import Criterion
from processes import Watch

# What the last fifth of the time may have more than the second: of it, and at least.
GROWTH = 0.05
LEAST = {"memory": 4e6, "descriptors": 10}


def series(watch: Watch) -> dict[str, list[tuple[float, float]]]:
    return {
        "memory": [(at, sample["server"].memory) for at, sample in watch.samples],
        "descriptors": [(at, sample["server"].descriptors) for at, sample in watch.samples],
    }


def criteria(watch: Watch, start: float) -> list[Criterion]:
    found = []
    for name, values in series(watch).items():
        settled = [value for at, value in values if at >= start]
        fifth = max(len(settled) // 5, 1)
        before, after = median(settled[fifth : 2 * fifth] or settled), median(settled[-fifth:])
        flat = after - before <= max(GROWTH * before, LEAST[name])
        unit, scale = (" MB", 1e6) if name == "memory" else ("", 1)
        found.append(Criterion(f"our own: {name} of the server flat", f"{before / scale:.1f}{unit}, then {after / scale:.1f}{unit}", flat))
    return found


def charts(watch: Watch, folder: Path) -> list[Path]:
    found = series(watch)
    start = watch.samples[0][0]
    minutes = [(at - start) / 60 for at, _ in watch.samples]
    memory, descriptors = ([value for _, value in found[name]] for name in ("memory", "descriptors"))
    return report.over_time({"Memory, MB": (minutes, [each / 1e6 for each in memory]), "Descriptors": (minutes, descriptors)}, folder)
