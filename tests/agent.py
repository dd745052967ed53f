"""An agent for tests: tools of one server, called through the protocol as a client calls them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from photovision.app.agents.desk import Desk
from photovision.app.agents.protocol import Protocol

OLD = Path(__file__).parent / "contract" / "bundles_0_1"
CLASSIFIER, DETECTOR = OLD / "classify" / "model", OLD / "detect" / "model"


@dataclass
class Agent:
    """Calls tools; `calls` and `bytes` count what that took."""

    desk: Desk
    calls: int = 0
    bytes: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of a request, or its error."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        answer = Protocol(self.desk).answer(json.dumps(message), self.notes.append)
        assert answer is not None
        assert answer["id"] == 1
        return answer

    def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers; text and structured content are equal, and small."""
        result = self.ask("tools/call", {"name": name, "arguments": arguments})["result"]
        text = result["content"][0]["text"]
        self.calls += 1
        self.bytes += len(text.encode())
        assert len(text.encode()) <= 2000
        assert not result["isError"], text
        assert json.loads(text) == result["structuredContent"]
        return dict(result["structuredContent"])

    def refusal(self, name: str, **arguments: Any) -> str:
        """Why a tool refuses, in one line."""
        result = self.ask("tools/call", {"name": name, "arguments": arguments})["result"]
        assert result["isError"]
        (content,) = result["content"]
        assert "\n" not in content["text"]
        return str(content["text"])


def discs_and_squares(folder: Path, count: int) -> Path:
    """`count` pictures of bright discs, in disc/, and squares, in square/; the last of each is blurred."""
    rng = np.random.default_rng(7)
    for number in range(count):
        kind = ("disc", "square")[number % 2]
        ground = np.clip(rng.normal(75, 9, (32, 32, 1)) + rng.uniform(-20, 20, 3), 0, 255).astype(np.uint8)
        picture = Image.fromarray(ground)
        left, top, side = (int(value) for value in rng.integers((1, 1, 13), (12, 12, 18)))
        box = (left, top, left + side, top + side)
        colour = (225, 130, 60) if kind == "disc" else (60, 130, 225)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if kind == "disc" else draw.rectangle)(box, fill=colour)
        if number >= count - 2:
            picture = picture.filter(ImageFilter.GaussianBlur(4))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        picture.save(folder / kind / f"{number:03d}.png")
    return folder
