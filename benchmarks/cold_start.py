"""One picture, cold: the whole command `photovision predict MODEL PICTURE` against `import torch, timm` alone.

python benchmarks/cold_start.py MODEL PICTURE
"""

from __future__ import annotations

import json
import subprocess
import sys

from rounds import seconds


def main() -> None:
    """Print the ratio of medians over interleaved rounds."""
    model, picture = sys.argv[1:3]
    predict = [sys.executable, "-m", "photovision", "predict", model, picture]
    imports = [sys.executable, "-c", "import torch, timm"]

    def run(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True)

    times = seconds({"predict": lambda: run(predict), "import torch, timm": lambda: run(imports)}, 5)
    sys.stdout.write(json.dumps({"share": times["predict"] / times["import torch, timm"], "seconds": times}) + "\n")


if __name__ == "__main__":
    main()
