"""The studio, measured: python benchmarks/studio.py [first drags pages idle memory kill] [--short] [--dry-run].

    first    seconds from starting the program to a saved edit of a photograph, with everything as a person finds it
    drags    from a slider's event to the new picture in a real browser, as a ratio to one plain synthesis of the same generator in the same
             run: a picture that a person sees cannot come sooner than the generator makes it
    pages    ten pages at once: how many are shown, and save, exactly their own pictures
    idle     processor time of the server, and of the page, while nobody touches anything
    memory   what the server's memory grows by over 2,000 edits
    kill     seconds of work lost when the program is killed (-9) in the middle of an edit, and of a clip

Without names it measures all of them. Figures go into benchmarks/results/studio.json beside those of before, and mean something on a
computer that does nothing else. --short only shows that a measurement works.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from studio_parts import drags, first, idle, kill, memory, pages

from crossrig.memory import keep_freed_memory
from crossrig.session import Effort, Networks

RESULTS = Path(__file__).parent / "results" / "studio.json"
QUICK = Effort(trial_steps=1, steps=5, tuning_steps=5)
"""Taking a picture in is not what is measured here."""
OPTIONS = ("--steps", str(QUICK.steps), "--tuning-steps", str(QUICK.tuning_steps))
GOALS = "saved within 60 s; median 2 or less and p95 4 or less; all pages correct; idle and growth near 0; 1 second lost at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--drags", type=int, default=None, help="number of drags (default: 200)")
    parser.add_argument("--short", action="store_true", help="a few seconds each")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    short: bool = options.short
    count = options.drags or (10 if short else 200)
    measures: Mapping[str, Callable[[], dict[str, float]]] = {
        "first": lambda: first.measure(OPTIONS if short else ()),
        "drags": lambda: drags.measure(OPTIONS, count),
        "pages": lambda: pages.measure(Networks.shipped("human"), QUICK, 3 if short else 10, 2 if short else 20),
        "idle": lambda: idle.measure(OPTIONS, 3.0 if short else 30.0),
        "memory": lambda: memory.measure(OPTIONS, 40 if short else 2000),
        "kill": lambda: kill.measure(OPTIONS, 2.0 if short else 5.0),
    }
    for name in options.names:
        if name not in measures:
            parser.error(f"there is no measurement {name}; there are {', '.join(measures)}")
    keep_freed_memory()
    figures: dict[str, float] = {}
    for name in options.names or measures:
        found = measures[name]()
        figures |= found
        for key, figure in found.items():
            print(f"{key:>24} {figure:10.3f}", flush=True)
    print(f"{'goals':>24} {GOALS}")
    if not options.dry_run:
        before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(before | figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
