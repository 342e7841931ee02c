# SPDX-License-Identifier: Apache-2.0
"""The command line. Subcommands are imported only when called, so that `--help` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import click

from harness import __version__
from harness.cli.failure import INTERRUPTED, report_error
from harness.errors import HarnessError
from harness.startup import lean

EXIT_CODES_HELP: Final = (
    "Exit codes: 0 all PASS, 1 a FAIL, 2 usage or file error, 3 ERROR of bench or firmware, "
    "4 nothing failed but something was INCONCLUSIVE or NOT_EXERCISED, 130 interrupted."
)

# name -> (module, one line of help). The module has a click command of the same name, dashes as underscores.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("harness.cli.run", "Prove the protection of a rig: boundary grids, sequences, verdicts, report."),
    "new": ("harness.cli.new", "Make a rig folder to grow from the database of a product."),
    "inject": ("harness.cli.inject", "Inject one fault and show the reaction against its budget."),
    "replay": ("harness.cli.replay", "Play a scenario file and judge it."),
    "soak": ("harness.cli.soak", "Days and years of a rig in minutes: time passes at once where nothing happens."),
    "judge": ("harness.cli.judge", "Judge a recording offline: a bus log, a trace or a run directory."),
    "shell": ("harness.cli.shell", "Poke a rig or a bench by hand while it runs: live table and prompt."),
    "doctor": (
        "harness.cli.doctor",
        "Look over a bench or a rig: adapter, instruments, safe state, clock; what to do.",
    ),
    "monitor": ("harness.cli.monitor", "Show a CAN bus: decoded values, periods, counters, checksums, load."),
    "uds": ("harness.cli.uds", "Ask a controller by UDS: trouble codes, identifiers, session, reset."),
    "faults": ("harness.cli.listing", "List the fault catalogue, or explain one kind of fault."),
    "rigs": ("harness.cli.listing", "List the rigs that come with the harness."),
    "profiles": ("harness.cli.profiles", "List the product profiles that come with the harness, and their databases."),
    "requirements": ("harness.cli.listing", "List the requirements of a rig."),
    "defects": ("harness.cli.defects", "Play the seeded defects of a rig's firmware: the kill matrix."),
    "mutants": ("harness.cli.mutants", "Mutate the firmware of a rig: how many small changes does the suite notice?"),
    "compare": ("harness.cli.compare", "Play the same scenarios on two firmwares and show where they part."),
    "serve": ("harness.cli.serve", "Be the controller of a rig in real time, on any CAN adapter."),
    "build": ("harness.cli.build", "Compile kernel and firmware of a rig."),
    "report": ("harness.cli.report", "Write the HTML report of a run directory again."),
    "export": ("harness.cli.export", "Export clauses, requirements and verdicts of a run: CSV, ReqIF, needs.json."),
    "schema": ("harness.cli.listing", "Print the JSON Schema of a file kind, for editors."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Expected errors and Ctrl-C end with one text and an exit code, a bug keeps its traceback."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            report_error(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near commands when one does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 - only to explain an error

            near = difflib.get_close_matches(args[0], COMMANDS, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"no command '{args[0]}'.{hint} 'bms-harness --help' lists them.")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES_HELP)
@click.version_option(__version__, prog_name="bms-harness")
def cli() -> None:
    """Test harness for battery management systems.

    Runs the real firmware of a BMS controller on a virtual CAN bus, injects faults and judges the protective reaction.
    RIG is the path of a rig file or the name of a shipped rig ('bms-harness rigs').
    """


def main() -> None:
    """Entry point of the console script."""
    lean()
    cli.main()
