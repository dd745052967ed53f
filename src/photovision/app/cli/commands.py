"""The table of commands. To add one: write a file beside this one, and its line here."""

from __future__ import annotations

from typing import Annotated

import typer

import photovision
from photovision.app.cli.adapt import adapt
from photovision.app.cli.audit import audit
from photovision.app.cli.calibrate import calibrate
from photovision.app.cli.check import check
from photovision.app.cli.compare import compare
from photovision.app.cli.convert import convert
from photovision.app.cli.cut import cut
from photovision.app.cli.detect import detect
from photovision.app.cli.drift import drift
from photovision.app.cli.estimate import estimate
from photovision.app.cli.evaluate import evaluate
from photovision.app.cli.explain import explain
from photovision.app.cli.export import export
from photovision.app.cli.features import features
from photovision.app.cli.info import info
from photovision.app.cli.keys import app as keys
from photovision.app.cli.loadtest import loadtest
from photovision.app.cli.optimize import optimize
from photovision.app.cli.predict import predict
from photovision.app.cli.recipe import app as recipe
from photovision.app.cli.record import app as record
from photovision.app.cli.serve import serve
from photovision.app.cli.train import train
from photovision.app.cli.ui import ui
from photovision.app.cli.watch import watch
from photovision.app.cli.weights import app as weights

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

for command in (
    train,
    evaluate,
    estimate,
    predict,
    detect,
    cut,
    watch,
    check,
    compare,
    audit,
    explain,
    features,
    calibrate,
    adapt,
    optimize,
    export,
    convert,
    info,
    serve,
    loadtest,
    drift,
    ui,
):
    app.command()(command)
app.add_typer(keys, name="keys", help="Make, list and revoke API keys of a service.")
app.add_typer(recipe, name="recipe", help="Uses made of these parts: shelves, baskets, roads, crops.")
app.add_typer(record, name="record", help="Look at a service's record of predictions, and delete old ones.")
app.add_typer(weights, name="weights", help="List and fetch pretrained weights.")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(photovision.__version__)
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def photovision_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a folder of pictures into a recogniser you can trust."""
    if context.invoked_subcommand is None:
        print(context.get_help())
