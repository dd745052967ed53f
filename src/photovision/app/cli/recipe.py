"""recipe: uses built from the parts of the other commands. To add one: recipe_NAME.py beside this file, and its line
here."""

from __future__ import annotations

from collections.abc import Callable

import typer

from photovision.app.cli.recipe_basket import basket, review
from photovision.app.cli.recipe_crop import crop
from photovision.app.cli.recipe_road import road
from photovision.app.cli.recipe_shelf import shelf
from photovision.app.cli.recipe_weather import weather

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=False)

RECIPES: tuple[Callable[..., None], ...] = (shelf, basket, review, road, crop, weather)

for recipe in RECIPES:
    app.command()(recipe)
