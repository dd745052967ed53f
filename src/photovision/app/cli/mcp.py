"""mcp: models for agents, over the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AgentModels = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL|NAME=MODEL...", help="Folders that 'photovision train' wrote, or names of ready models."
    ),
]


def mcp(
    models: AgentModels,
    root: Annotated[
        Path | None, typer.Option(metavar="PICTURES", help="The folder of pictures that may be seen; default: none.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Let the agent suggest labels, added to this table as a rater's."),
    ] = None,
    rater: Annotated[str, typer.Option(help="What the agent is called there: column rater_NAME.")] = "agent",
    http: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Answer on this port of this machine; default: standard input."
        ),
    ] = None,
) -> None:
    """Let an agent ask models, over the Model Context Protocol.

    Read-only, about pictures below --root alone. Models are opened when they are first asked.
    """
    from photovision.app.agents.desk import Desk
    from photovision.app.agents.suggestions import Suggestions
    from photovision.service.settings import named_models

    desk = Desk(named_models(models), root, None if write is None else Suggestions(write, rater))
    for name in desk.places:
        desk.bundle(name)  # a mistyped path is reported before a client waits
    if http is None:
        from photovision.app.agents.stdio import serve_stdio

        serve_stdio(desk)
        return
    from photovision.app.agents.http import PATH, serve_http
    from photovision.app.cli.output import note
    from photovision.app.web.serve import ADDRESS, listen

    own = listen(http, exact=True)
    note(f"http://{ADDRESS}:{own.getsockname()[1]}{PATH}")
    serve_http(desk, own)
