"""`python bench/run.py`: measures speed and memory and prints one table, each number beside what is promised.

Without names it measures everything, small enough to end within a quarter of an hour. The promises that speak of ten
million occurrences and of a million removed need `--history 10000000 --old 1000000`, an hour, and 30 GB of disk.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    from bench.command import main

    main()
