"""The command line: ``gridward COMMAND``. One module per command, imported only when that command is wanted."""

from __future__ import annotations

import signal
from importlib import import_module
from typing import Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from api.cli.speech import fail, sentence, t
from geo.errors import GridwardError

__all__ = ["COMMANDS", "application", "main"]

#: Command → module and name in it: a function is one command, a Typer is a group of them.
COMMANDS: Final = {
    "up": ("api.cli.up", "up"),
    "serve": ("api.cli.serving", "serve"),
    "worker": ("api.cli.serving", "worker"),
    "migrate": ("api.cli.migrating", "migrate"),
    "import": ("api.cli.importing", "app"),
    "export": ("api.cli.export", "app"),
    "locate": ("api.cli.locating", "locate"),
    "grid": ("api.cli.grid", "app"),
    "channels": ("api.cli.channels", "app"),
    "demo": ("api.cli.demo", "app"),
    "people": ("api.cli.people", "app"),
    "keys": ("api.cli.keys", "app"),
    "reporters": ("api.cli.reporters", "app"),
    "audit": ("api.cli.audit", "app"),
    "places": ("api.cli.places", "app"),
    "map": ("api.cli.maps", "app"),
    "facts": ("api.cli.facts", "app"),
    "rates": ("api.cli.rates", "app"),
    "bulletin": ("api.cli.rates_bulletin", "bulletin"),
    "ladders": ("api.cli.ladders", "app"),
    "parked": ("api.cli.parked", "app"),
    "webhooks": ("api.cli.webhooks", "app"),
    "backup": ("api.cli.backup", "backup"),
    "restore": ("api.cli.backup", "restore"),
    "doctor": ("api.cli.doctor", "doctor"),
    "test": ("api.cli.testing", "test"),
    "bench": ("api.cli.testing", "bench"),
    "version": ("api.cli.version", "version"),
}
# These hand every word on to the tool they start, `--help` included.
_PASSING_ON: Final = {"test": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}}


class LazyGroup(TyperGroup):
    """Imports a command's module when the command is named, so that `version` need not load a web framework."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and build one command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        thing: Any = getattr(import_module(module), name)
        if isinstance(thing, typer.Typer):
            command: Any = typer.main.get_group(thing)  # get_command would collapse a group of one
        else:
            single = typer.Typer(add_completion=False)
            single.command(cmd_name, context_settings=_PASSING_ON.get(cmd_name))(thing)
            command = typer.main.get_command(single)
        command.name = cmd_name
        command.help = t(f"cli.command.{cmd_name}")
        return command


application = typer.Typer(
    name="gridward",
    cls=LazyGroup,
    help=t("cli.about"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@application.callback()
def _root() -> None:
    """Hold the group together; the help text comes from the catalogue."""


def main() -> None:
    """Run the command line; an error that has a name becomes one sentence and exit code 1."""
    # A stop request from a service manager unwinds like Ctrl-C: what the command has opened, it closes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        application(prog_name="gridward")
    except GridwardError as error:
        fail(sentence(error))
    except ValidationError as error:
        if error.title != "Settings":
            raise
        # Loaded only now: the sentences of bodies bring the web framework with them.
        fail(import_module("api.cli.setting_faults").setting_faults(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
