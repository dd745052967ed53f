"""The page of a service in a real browser: a detector's boxes are drawn over the picture that was sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from served import process
from spotter import scene, spotter_bundle

Visit = Callable[..., Any]
YELLOW = [255, 214, 10]


@pytest.mark.slow
def test_boxes_are_drawn_over_the_picture(visit: Visit, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    bundle = spotter_bundle(tmp_path / "spots")
    Image.fromarray(scene((128, 256), [("red", (64, 64, 96, 80))])).save(tmp_path / "street.png")
    with process([f"spots={bundle}"]) as service:
        page = visit(f"{service.address}/")
        assert page.get_by_text("What a detector says of one picture.").count() == 1
        page.set_input_files("input[type=file]", str(tmp_path / "street.png"))
        page.fill("input[name=options]", "model=spots&threshold=0.4")
        page.get_by_role("button", name="Send").click()
        canvas = page.get_by_role("img", name="street.png with 1 boxes")
        canvas.wait_for()
        assert '"label": "red"' in page.locator("output pre").inner_text()
        at = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)"
        assert canvas.evaluate(at, [96, 72]) == YELLOW
        assert canvas.evaluate(at, [80, 72]) != YELLOW
        found = Axe().run(page).response["violations"]
        assert not [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
