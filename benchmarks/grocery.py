"""Grocery Store, 81 fine classes: the ladder within a time budget, judged on the published val split.

    python benchmarks/grocery.py FOLDER --minutes 15

FOLDER holds metadata.csv (file_name, label, split). Prints one JSON line with every rung.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training import print_training


def main() -> None:
    """Train and print what every rung reached, and what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print_training(asked.folder, minutes=asked.minutes, seed=asked.seed)


if __name__ == "__main__":
    main()
