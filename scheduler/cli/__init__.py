"""The command line. Each command is loaded when it is called, so that --help is quick."""

import gc
import sys
from importlib import import_module

import click

from scheduler import __version__
from scheduler.findings import NotDone, WrongInput

COMMANDS = {
    "check": ("checking", "Check the course, the clinic, the templates and the roster."),
    "render": ("rendering", "Write the letters to a folder, to look at."),
    "preview": ("preview", "Look at the letters while you edit them."),
    "evidence": ("rendering", "Write what is claimed, and on what grounds, as one page."),
    "sign": ("signing", "Sign a lesson or the warning boxes, as a physiotherapist."),
    "schemas": ("schemas", "Write JSON Schemas, for editors that complete and check."),
    "enrol": ("enrolling", "Enrol the people of a roster or a CSV file, and apply its changes."),
    "roster": ("people", "List who is enrolled, with their next letters."),
    "plan": ("people", "Print the dates of the letters, with the reasons."),
    "move": ("tailoring", "Move the start of a course, or the first appointment."),
    "hold": ("tailoring", "Hold the letters for a while."),
    "resume": ("tailoring", "End a hold."),
    "now": ("tailoring", "Send the next letter at once."),
    "skip": ("tailoring", "Leave a lesson out."),
    "pace": ("tailoring", "Set the days between letters."),
    "at": ("tailoring", "Set the time of day."),
    "note": ("tailoring", "Write a note that stands in every letter."),
    "correct": ("tailoring", "Correct somebody's address, name or physiotherapist."),
    "end": ("tailoring", "End a course."),
    "reenrol": ("tailoring", "Begin a course anew that has ended."),
    "undo": ("tailoring", "Take back the last change of a person, or an import."),
    "suppress": ("tailoring", "Write to an address no more."),
    "allow": ("tailoring", "Let an address be written to again."),
    "audit": ("people", "List who changed what, and when."),
    "impact": ("people", "Say what the edited course changes for the people inside."),
    "send": ("sending", "Send what is due: one round."),
    "settle": ("sending", "Say whether an undecided letter arrived."),
    "run": ("service", "Send what is due, every minute, and serve the pages."),
    "export": ("keeping", "Write everything that is kept about a person."),
    "forget": ("keeping", "Remove everything about a person, or what is older than you allow."),
    "doctor": ("doctor", "Look at everything that can be amiss, and say what to do."),
    "backup": ("keeping", "Write all that is known into one sealed file."),
    "restore": ("keeping", "Put a backup in place of the database."),
    "staff": ("staff", "Invite staff to the pages, list them, or let one in no more."),
    "simulate": ("trial", "Run the roster through a simulated clock."),
    "demo": ("trial", "Show the whole course with the example people."),
    "bench": ("bench", "Measure filling, writing and planning."),
}


class Lazy(click.Group):
    """Commands by name, each in the module that COMMANDS names."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"scheduler.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="physiopost")
def cli() -> None:
    """Physiopost sends a week-by-week e-mail course that starts from a first appointment.

    Exit codes: 0 done · 1 findings, or letters that did not go · 2 wrong usage or input.
    """


NEW_OBJECTS = 20_000  # until garbage is looked for; at Python's 700 a round spends a seventh on it


def main(command: click.Command = cli) -> None:
    """Run a command; say what is wrong in a line, and never with a traceback."""
    gc.set_threshold(NEW_OBJECTS)
    try:
        code = command(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except WrongInput as error:
        for finding in error.findings:
            click.echo(finding, err=True)
        code = 2
    except NotDone as error:
        click.echo(error, err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
