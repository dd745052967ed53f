"""Run the notebooks again and store their outputs: `python docs/notebooks/run.py [NAME ...]`, with the extra `docs`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def run(path: Path) -> None:
    """Run one notebook in a folder of its own, and write it with what its cells show.

    Raises:
        CellExecutionError: of nbclient, where a cell fails; the notebook stays as it was.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook: Any = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # when a cell ran is of no interest, and differs each time
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.ipynb")):
        run(HERE / f"{name}.ipynb")
