"""Damage thousands of files of every format that strangers may send, and count what becomes of them.

Every damaged file is opened and read in a process of its own, which may take 20 s and 2 GiB. ``python
benchmarks/fuzz_slides.py --mutations 2000 --seed 1``; files that show a fault are kept in the folder ``--keep``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "slides"))

import fuzzing

_COLUMNS = ("tries", *fuzzing.GOOD, *fuzzing.FAULTS)


def main() -> int:
    """Print one row per format; exit with 1 if any file showed a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000, help="files in all, shared among the formats")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="*", default=[kind.name for kind in fuzzing.FORMATS], metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder for the files that show a fault")
    options = parser.parse_args()
    kinds = [kind for kind in fuzzing.FORMATS if kind.name in options.formats]
    print(f"{'format':14}" + "".join(f"{name:>11}" for name in (*_COLUMNS, "peak MiB", "longest s")))
    faults = 0
    for kind in kinds:
        counts, peak, longest = _try_format(kind, -(-options.mutations // len(kinds)), options.seed, options.keep)
        numbers = "".join(f"{counts[name]:11}" for name in _COLUMNS)
        print(f"{kind.name:14}{numbers}{peak / 2**20:11.0f}{longest:11.1f}", flush=True)
        faults += sum(counts[name] for name in fuzzing.FAULTS)
    return min(faults, 1)


def _try_format(kind: fuzzing.Format, count: int, seed: int, keep: Path | None) -> tuple[Counter[str], int, float]:
    counts, peak, longest = Counter(tries=count), 0, 0.0
    with tempfile.TemporaryDirectory() as folder, fuzzing.Nursery() as nursery:
        for number, path in enumerate(fuzzing.damaged_files(kind, Path(folder), count, seed)):
            outcome = nursery.watch(kind, path)
            counts[outcome.kind] += 1
            peak, longest = max(peak, outcome.peak_bytes), max(longest, outcome.seconds)
            if outcome.kind in fuzzing.FAULTS:
                print(f"{kind.name}, file {number}: {outcome.kind}: {_last_line(outcome.detail)}", file=sys.stderr)
                if keep is not None:
                    _keep(path, keep / f"{kind.name.replace(' ', '-')}-{seed}-{number}", outcome)
    return counts, peak, longest


def _keep(path: Path, folder: Path, outcome: fuzzing.Outcome) -> None:
    shutil.copytree(path.parent, folder, dirs_exist_ok=True)
    (folder / "outcome.txt").write_text(f"{outcome.kind}\n{outcome.detail}\n")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


if __name__ == "__main__":
    sys.exit(main())
