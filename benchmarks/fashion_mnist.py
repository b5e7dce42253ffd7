"""What does ``paceline fit fashion-mnist --time 15m`` reach on two cores?

    python benchmarks/fashion_mnist.py

One run of the command line with its defaults; the quarter of an hour covers imports,
reading, training, testing and saving. The published figure beside it: 0.925 for a small
convolutional network, 0.967 for a WRN40-4 (the table in the data set's own README).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time

from harness import data_folder, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the folder with the four idx files")
    parser.add_argument("--time", default="15m")
    parser.add_argument("--smoke", action="store_true", help="eight seconds")
    options = parser.parse_args()
    data = data_folder(options.data, "fashion-mnist")
    budget = "8s" if options.smoke else options.time
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "paceline", "fit", str(data), "--time", budget,
            "--out", f"{folder}/run", "--json",
        ]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        seconds = time.monotonic() - began
    result = json.loads(done.stdout.splitlines()[-1])
    figures = {
        "budget": budget,
        "test": result["test"],
        "baselines": result["baselines"],
        "steps": result["steps"],
        "wall_seconds_of_the_whole_process": seconds,
        "cpu_seconds": result["cpu_seconds"],
        "published": {"small CNN, under 100k parameters": 0.925, "WRN40-4": 0.967},
    }
    print(json.dumps(figures, indent=2))
    if not options.smoke:
        write_result(__file__, figures)


if __name__ == "__main__":
    main()
