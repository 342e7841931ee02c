# SPDX-License-Identifier: Apache-2.0
"""`bms-harness profiles`: the product profiles that come with the harness."""

from __future__ import annotations

import click

from harness.cli.common import emit, json_option


@click.command()
@json_option
def profiles(*, as_json: bool) -> None:
    """List the product profiles that come with the harness, and whether their databases are here."""
    from harness.rig.profiles import describe, shipped_profiles  # noqa: PLC0415 - not needed for --help

    known = [describe(path) for path in shipped_profiles()]
    if as_json:
        fields = ("name", "title", "dbc", "url", "licence")
        emit(
            {
                "profiles": [
                    {field: getattr(item, field) for field in fields}
                    | {"path": str(item.path), "database": None if item.database is None else str(item.database)}
                    for item in known
                ]
            }
        )
        return
    width = max(len(item.name) for item in known)
    for item in known:
        click.echo(f"{item.name:<{width}}  {item.title}")
        source = f"{item.url} ({item.licence})" if item.url else item.licence
        here = item.database or f"{item.dbc} is not here"
        click.echo(f"{'':<{width}}  database: {here}\n{'':<{width}}  from: {source}")
    if any(item.database is None for item in known):
        click.echo(
            "\nDatabases of others are not part of the harness: put one beside its profile or into a folder that the\n"
            "environment variable BMS_HARNESS_DBC names, or give it with --dbc."
        )
