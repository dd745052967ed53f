"""The official client of the Model Context Protocol talks with `photovision mcp`, over both transports."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from agent import CLASSIFIER, Agent, discs_and_squares

from photovision.app.agents.desk import Desk

pytest.importorskip("mcp", reason="needs the official client: pip install mcp")
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("models", {}),
    ("describe", {}),
    ("list_pictures", {"show": 1}),
    ("classify", {"order": "least_sure", "show": 1}),
    ("audit_summary", {}),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return discs_and_squares(tmp_path_factory.mktemp("root"), 6)


async def _conversation(read: Any, write: Any) -> list[Any]:
    from mcp import ClientSession

    async with ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        answers = [await session.call_tool(name, arguments) for name, arguments in QUESTIONS]
        refused = await session.call_tool("classify", {"pictures": ["../secret.png"]})
        return [tools.tools, answers, refused]


def _as_expected(root: Path, tools: Any, answers: Any, refused: Any) -> None:
    own = Agent(Desk({"model": CLASSIFIER}, root))
    assert [tool.name for tool in tools][:3] == ["models", "describe", "list_pictures"]
    assert all(tool.annotations.read_only_hint for tool in tools)
    for (name, arguments), answer in zip(QUESTIONS, answers, strict=True):
        assert not answer.is_error
        assert answer.structured_content == json.loads(answer.content[0].text) == own.tool(name, **arguments)
        assert [content.type for content in answer.content[1:]] == ["image"] * arguments.get("show", 0)
    assert refused.is_error


def test_over_standard_input_and_output(root: Path) -> None:
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    async def talk() -> list[Any]:
        command = ["-m", "photovision", "mcp", str(CLASSIFIER), "--root", str(root)]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with stdio_client(server) as (read, write):
            return await _conversation(read, write)

    _as_expected(root, *asyncio.run(talk()))


@pytest.fixture
def address(root: Path) -> Iterator[str]:
    import uvicorn

    from photovision.app.agents.http import create_agent_app
    from photovision.app.web.serve import listen

    own = listen(0, exact=True)
    config = uvicorn.Config(create_agent_app(Desk({"model": CLASSIFIER}, root)), log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
    thread.start()
    yield f"http://127.0.0.1:{own.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join()
    own.close()


def test_over_http(root: Path, address: str) -> None:
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> list[Any]:
        async with streamable_http_client(address) as (read, write, *_):
            return await _conversation(read, write)

    _as_expected(root, *asyncio.run(talk()))


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_pages_of_strangers_are_refused(address: str, headers: dict[str, str]) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert httpx.post(address, json=message, headers=headers).status_code == 403
    assert httpx.post(address, json=message).status_code == 200
    assert httpx.get(address).status_code == 405
    assert httpx.post(address, content=b"x" * 2**21).status_code == 413


def test_the_list_of_tools_comes_at_once_and_without_torch(root: Path) -> None:
    code = (
        "import sys; from photovision.app.cli import run; code = run(sys.argv[1:]);"
        "print(time.process_time(), *sorted(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", f"import time; {code}", "mcp", str(CLASSIFIER), "--root", str(root)]
    message = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'
    done = subprocess.run(command, input=message, capture_output=True, text=True, check=True, timeout=60)
    assert len(json.loads(done.stdout)["result"]["tools"]) == 8
    seconds, *modules = done.stderr.split()
    assert not {"torch", "onnxruntime", "openvino", "fastapi", "sklearn", "faiss"} & set(modules)
    assert float(seconds) < 2  # 0.3 alone on the machine; the bound is wide, since tests share it


def test_what_libraries_print_does_not_reach_the_client(root: Path) -> None:
    code = (
        "import io, os, sys; from photovision.app.agents import stdio; from photovision.app.agents.desk import Desk;"
        "own = stdio.Protocol.answer;"
        "stdio.Protocol.answer = lambda *given: (print('noise'), os.write(1, b'noise'), own(*given))[2];"
        "stdio.serve_stdio(Desk({}, None)); print('after')"
    )
    message = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    done = subprocess.run([sys.executable, "-c", code], input=message, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[0]) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert "noise" in done.stderr


@pytest.mark.slow
def test_a_hundred_pictures_take_less_than_eight_seconds(tmp_path: Path) -> None:
    agent = Agent(Desk({"imagenet": "imagenet"}, discs_and_squares(tmp_path, 100)))
    started = time.monotonic()
    found = agent.tool("classify")
    assert found["pictures"] == 100
    assert "job" not in found
    assert time.monotonic() - started < 8
