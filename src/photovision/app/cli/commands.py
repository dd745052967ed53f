"""The table of commands. To add one: write a file beside this one, and its line here."""

from __future__ import annotations

from typing import Annotated

import typer

import photovision
from photovision.app.cli.adapt import adapt
from photovision.app.cli.adopt import adopt
from photovision.app.cli.audit import audit
from photovision.app.cli.calibrate import calibrate
from photovision.app.cli.card import card
from photovision.app.cli.check import check
from photovision.app.cli.compare import compare
from photovision.app.cli.convert import convert
from photovision.app.cli.cut import cut
from photovision.app.cli.detect import detect
from photovision.app.cli.drift import drift
from photovision.app.cli.duplicates import duplicates
from photovision.app.cli.estimate import estimate
from photovision.app.cli.evaluate import evaluate
from photovision.app.cli.explain import explain
from photovision.app.cli.export import export
from photovision.app.cli.faces import app as faces
from photovision.app.cli.features import features
from photovision.app.cli.forget import forget
from photovision.app.cli.group import group
from photovision.app.cli.index import index
from photovision.app.cli.info import info
from photovision.app.cli.interpolate import interpolate, invert
from photovision.app.cli.keys import app as keys
from photovision.app.cli.loadtest import loadtest
from photovision.app.cli.mcp import mcp
from photovision.app.cli.optimize import optimize
from photovision.app.cli.predict import predict
from photovision.app.cli.program import Commands
from photovision.app.cli.recipe import app as recipe
from photovision.app.cli.record import app as record
from photovision.app.cli.refer import refer
from photovision.app.cli.sample import sample
from photovision.app.cli.search import search
from photovision.app.cli.serve import serve
from photovision.app.cli.shards import shards
from photovision.app.cli.suggest import suggest
from photovision.app.cli.train import train
from photovision.app.cli.ui import ui
from photovision.app.cli.update import rollback, update, versions
from photovision.app.cli.watch import watch
from photovision.app.cli.weights import app as weights
from photovision.app.cli.worker import worker

DATA, LEARN, QUESTION = "Look at data", "Learn", "Question a model"
USE, SERVICE = "Use a model", "Run it as a service"
"""What a person is doing: `photovision --help` groups the commands by it."""

app = Commands(completion=True)

app.add(check, "check flowers/\ncheck flowers/ --labels -o check/", group=DATA)
app.add(duplicates, "duplicates holiday/\nduplicates holiday/ --apply --to duplicates/", group=DATA)
app.add(group, "group holiday/ -o piles/\ngroup --confirm piles/", group=DATA)
app.add(suggest, "suggest holiday/ --labelled labels.csv --next 50 -o next/", group=DATA)
app.add(convert, "convert cells/ --to coco -o cells-coco/", group=DATA)
app.add(shards, "shards flowers/ -o flowers-shards/\nshards flowers/ -o flowers-shards/ --size 256", group=DATA)

app.add(train, "train flowers/ -o flowers-model --minutes 5", group=LEARN)
app.add(calibrate, "calibrate flowers-model our-own-flowers/ -o our-model", group=LEARN)
app.add(adapt, "adapt flowers-model holiday/ -o holiday-model", group=LEARN)
app.add(adopt, "adopt theirs.onnx --classes names.txt --data flowers/ -o their-model", group=LEARN)
app.add(optimize, "optimize flowers-model flowers/ -o small-model --int8 --max-drop 0.5", group=LEARN)
app.add(
    update, "update flowers-model new/ --golden flowers/ -o flowers-versions\nupdate flowers-versions new/", group=LEARN
)
app.add(rollback, "rollback flowers-versions", group=LEARN)
app.add(versions, "versions flowers-versions", group=LEARN)
app.add_commands(weights, "weights", group=LEARN, text="List, fetch and import pretrained weights.")

app.add(info, "info flowers-model", group=QUESTION)
app.add(card, "card flowers-model --owner 'Acme Gardens'", group=QUESTION)
app.add(evaluate, "evaluate flowers-model other-flowers/ -o report/", group=QUESTION)
app.add(explain, "explain flowers-model rose.jpg --data flowers/ -o why/", group=QUESTION)
app.add(audit, "audit flowers-model table.csv --by camera,season -o audit/", group=QUESTION)
app.add(compare, "compare old-model flowers-model other-flowers/", group=QUESTION)
app.add(estimate, "estimate flowers-model holiday/", group=QUESTION)
app.add(refer, "refer flowers-model other-flowers/ --costs costs.csv -o referrals/", group=QUESTION)
app.add(features, "features flowers-model flowers/ -o features/", group=QUESTION)

app.add(predict, "predict imagenet photo.jpg\npredict flowers-model rose.jpg holiday/ --csv", group=USE)
app.add(worker, "worker results/", group=USE)
app.add(detect, "detect photo.jpg\ndetect cells-model smear.jpg -o boxes/", group=USE)
app.add(cut, "cut photo.jpg --point 430,200 -o cut/", group=USE)
app.add(watch, "watch street.mp4 --line 0,0.5,1,0.5 -o seen.mp4", group=USE)
app.add(search, "search holiday/ rose.jpg\nsearch holiday-index rose.jpg --top 100 --json", group=USE)
app.add(index, "index holiday/ -o holiday-index", group=USE)
app.add(forget, "forget holiday-index holiday/rose.jpg", group=USE)
app.add_commands(faces, "faces", group=USE, text="Recognise people who agreed to it, and cover all others.")
app.add(sample, "sample garden-generator -o made/\nsample garden-generator -n 16 --class rose -o roses/", group=USE)
app.add(interpolate, "interpolate garden-generator rose.jpg tulip.jpg -o between/", group=USE)
app.add(invert, "invert garden-generator rose.jpg -o again/", group=USE)
app.add(ui, "ui flowers/", group=USE)
app.add(export, "export flowers-model --to openvino -o for-others/", group=USE)
app.add_commands(recipe, "recipe", group=USE, text="Ready-made applications: shelves, baskets, roads, crops.")

app.add(serve, "serve flowers=flowers-model --record sqlite:///predictions.db", group=SERVICE)
app.add(mcp, "mcp flowers-model --root holiday/", group=SERVICE)
app.add(loadtest, "loadtest http://127.0.0.1:8000 holiday/ --concurrency 32", group=SERVICE)
app.add(drift, "drift flowers-model sqlite:///predictions.db --last 1000 -o drift/", group=SERVICE)
app.add_commands(record, "record", group=SERVICE, text="Look at a service's predictions, and delete old ones.")
app.add_commands(keys, "keys", group=SERVICE, text="Make, list and revoke API keys of a service.")


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
    """Turn a folder of pictures into a recogniser you can trust.

    Start with: photovision check PICTURES, then photovision train PICTURES -o MODEL, then photovision ui.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
