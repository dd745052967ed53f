"""card: complete a model's card with what only its owner can say."""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Json, Model


def card(
    model: Model,
    owner: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The person or organisation that is responsible for it.")
    ] = None,
    purpose: Annotated[
        str | None, typer.Option(metavar="TEXT", help="For whom, for which decisions, and who checks them.")
    ] = None,
    contact: Annotated[str | None, typer.Option(metavar="TEXT", help="Where questions and complaints go.")] = None,
    population: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Clinical studies: the patients that it is meant for.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Clinical studies: the apparatus whose pictures it is meant for.")
    ] = None,
    prevalence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Clinical studies: how many patients have what it looks for.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Complete a model's card: owner, purpose, contact.

    Population, device or prevalence add a section for clinical studies: "not a medical device", and a checklist.

    Without options, what is recorded is shown. An empty text ("") removes an entry. The rest of the card comes from
    what was measured.
    """
    from photovision.app.cli.output import note, print_json, print_rows
    from photovision.engine.card_gaps import CLINICAL, STATEMENTS
    from photovision.engine.complete_card import card as complete
    from photovision.engine.load import bundle_of

    bundle = bundle_of(model, "card")
    clinical = {"population": population, "device": device, "prevalence": prevalence}
    found = complete(bundle.path, owner=owner, purpose=purpose, contact=contact, **clinical, say=note)
    if as_json:
        print_json(found)
        return
    print_rows([(name, found.get(name, f"not recorded: {meaning}")) for name, meaning in STATEMENTS.items()])
    print_rows([(name, found[name]) for name in CLINICAL if name in found])
    print(f"\nCard: {bundle.path / 'README.md'}")
