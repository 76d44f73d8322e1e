"""`srwm config` and `srwm configs`: look up keys, resolve a configuration, list those shipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from launch.cli.completion import complete_config_or_key, complete_override
from launch.cli.terminal import console
from launch.errors import UserError

if TYPE_CHECKING:
    from launch.config.reference import Key


@click.command("config")
@click.argument(
    "name", required=False, metavar="[KEY | CONFIG]", shell_complete=complete_config_or_key
)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=complete_override)
@click.option("--fewshot", is_flag=True, help="Explain the keys of few-shot runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(name: str | None, overrides: tuple[str, ...], fewshot: bool, as_json: bool) -> None:
    """Explain the keys of a configuration, or print a whole one.

    Without an argument, print every key with its type, default, range and meaning. With a KEY or
    the name of a section, print that. With a CONFIG, print it as YAML with all defaults and
    KEY=VALUE filled in.
    """
    from launch.config.fewshot import FewShotConfig
    from launch.config.reference import all_keys, keys_of, nearest
    from launch.config.schema import LoadedConfig
    from launch.config.source import dump_config, find_config, load_any_config

    kind = FewShotConfig if fewshot else LoadedConfig
    keys = keys_of(name, kind) if name else all_keys(kind)
    if keys:
        if overrides:
            raise UserError(f"{overrides[0]!r}: KEY=VALUE needs a CONFIG, and {name!r} is a key")
        _print_keys(keys, as_json)
        return
    assert name is not None
    try:
        find_config(name)
    except UserError as error:
        known = nearest(name, kind)
        hint = f"; as a key, did you mean {known}?" if known else ""
        raise UserError(f"{error}{hint}") from None
    loaded = load_any_config(name, overrides)
    text = json.dumps(loaded.model_dump(mode="json"), indent=1) if as_json else dump_config(loaded)
    click.echo(text.rstrip())


@click.command("configs")
def configs() -> None:
    """List the configurations in configs/, each with what it is for."""
    from rich.table import Table

    from launch.config.source import CONFIGS, first_comment

    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for path in sorted(CONFIGS.glob("*.yaml")):
        table.add_row(path.stem, first_comment(path))
    console.print(table, highlight=False)


def _print_keys(keys: list[Key], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([key._asdict() for key in keys], indent=1))
        return
    from rich.padding import Padding
    from rich.text import Text

    for key in keys:
        default = f"default {key.default}" if key.default else "required"
        limits = f"  {key.range}" if key.range else ""
        console.print(key.name, end="  ", style="bold", highlight=False)
        console.print(f"{key.type}{limits}  ({default})", highlight=False)
        console.print(Padding(Text(key.meaning), (0, 0, 0, 4)))
