"""keys: who may ask a service. A key is shown once; the file keeps a salted hash of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json
from photovision.app.cli.program import Commands

app = Commands()

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")]
File = Annotated[Path, typer.Option(help="The file of keys, which 'photovision serve --keys' reads.")]
DEFAULT = Path("keys.json")


def add_key(
    name: Name,
    file: File = DEFAULT,
    admin: Annotated[bool, typer.Option("--admin", help="May also load and roll back models.")] = False,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Pictures a second; default: the service's.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, the only time that it can be seen."""
    from photovision.app.cli.output import alert, print_json
    from photovision.core.errors import UsageError
    from photovision.service.keys import changing, new_key

    with changing(file, new=True) as keys:
        if any(key.name == name for key in keys.values()):
            raise UsageError(f"{file} has a key named '{name}' already: revoke it first, or take another name")
        text, key = new_key(name, admin=admin, rate=rate)
        keys[key.id] = key
    if as_json:
        print_json({"name": name, "id": key.id, "key": text})
    else:
        print(text)
        alert(f"this key of '{name}' cannot be shown again; {file} keeps a hash of it")


def list_keys(file: File = DEFAULT, as_json: Json = False) -> None:
    """List whose keys there are."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.service.keys import read_keys

    keys = read_keys(file).values()
    if as_json:
        shown = ("name", "id", "admin", "rate", "created")
        print_json([{name: getattr(key, name) for name in shown} for key in keys])
    else:
        rows = [(key.name, key.id, "admin" if key.admin else "", key.rate, key.created) for key in keys]
        print_rows([("name", "id", "", "rate", "created"), *rows], indent="")


def revoke_key(name: Name, file: File = DEFAULT) -> None:
    """Take a key back; a running service knows within seconds."""
    from photovision.app.cli.output import alert
    from photovision.core.errors import UsageError
    from photovision.service.keys import changing

    with changing(file) as keys:
        gone = [identity for identity, key in keys.items() if key.name == name]
        if not gone:
            names = ", ".join(sorted(key.name for key in keys.values())) or "none"
            raise UsageError(f"{file} has no key named '{name}'; it has: {names}")
        for identity in gone:
            del keys[identity]
    alert(f"the key of '{name}' is revoked")


app.add(add_key, "keys add camera-3 --rate 20", name="add")
app.add(list_keys, "keys list", name="list")
app.add(revoke_key, "keys revoke camera-3", name="revoke")
