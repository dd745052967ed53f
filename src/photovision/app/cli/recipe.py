"""recipe: uses built from the parts of the other commands. To add one: recipe_NAME.py beside this file, and its line
here."""

from __future__ import annotations

from photovision.app.cli.program import Commands
from photovision.app.cli.recipe_basket import basket, review
from photovision.app.cli.recipe_crop import crop
from photovision.app.cli.recipe_products import products
from photovision.app.cli.recipe_road import road
from photovision.app.cli.recipe_shelf import shelf
from photovision.app.cli.recipe_weather import weather

app = Commands()

app.add(shelf, "recipe shelf shelf-model today/ --reference full/ -o report/")
app.add(products, "recipe products catalogue-index shelf-model today/ -o report/")
app.add(basket, 'recipe basket shop.mp4 -m shop-model --zone "shelf:0,0;0.3,0;0.3,1;0,1" -o report/')
app.add(review, "recipe review report/ --accept 1")
app.add(road, "recipe road yolov4-tiny street-data/ -o report/")
app.add(crop, "recipe crop leaf-model field/ -o report/")
app.add(weather, "recipe weather street-pictures/ -o weather-data/")
