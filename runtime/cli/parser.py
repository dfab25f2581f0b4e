"""The arguments of every command. Nothing here imports more than the standard library."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from runtime.cli.exit_codes import EPILOG
from runtime.errors import bad_input, did_you_mean

COMMANDS = {
    "compile": "compile a program to an image file, or print a stage of its compilation",
    "run": "run a program or an image on the emulated machine",
    "view": "show an image or a run: a report in one HTML file, pictures, text, traces for other tools",
    "asm": "print an image as text, or assemble such a text",
    "check": "say what is wrong with programs, without compiling them",
    "fmt": "lay programs out, in place",
    "explain": "explain the code of a message, why a run took so long, or what of a program is left out",
    "machines": "list the machines, or every constant of one with its source",
}
DEFAULT_MACHINE = "wormhole_n150"
PRUNE_MODES = ("none", "static", "dynamic", "all")
WARNINGS = ("W0101", "W0102", "W0301", "W0302")


class Parser(argparse.ArgumentParser):
    """Raises a diagnostic where argparse would print one and exit."""

    def error(self, message: str) -> NoReturn:
        raise bad_input("E0542", f"`{self.prog}`: {message}", helps=[f"`{self.prog} --help` explains"])


def common_options() -> "Parser":
    """Options that every command takes."""
    parser = Parser(prog="meshc", add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="default: on a terminal unless NO_COLOR"
    )
    group.add_argument("--traceback", action="store_true", help="let an internal error end in a Python traceback")
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments.

    Raises E0540 for an unknown command, E0541 for an unknown option, E0542 for anything else that does not parse.
    `--help` and `--version` print and raise `SystemExit`.
    """
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        helps = did_you_mean(arguments[0], COMMANDS, "commands")
        raise bad_input("E0540", f"`{arguments[0]}` is not a command of meshc", helps=helps)
    parser, commands = _build()
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse(unknown[0], commands[parsed.command])
    return parsed


def _refuse(word: str, command: argparse.ArgumentParser) -> NoReturn:
    if not word.startswith("-"):
        raise bad_input("E0542", f"`{command.prog}` does not know what to do with `{word}`")
    options = [option for action in command._actions for option in action.option_strings if option.startswith("--")]
    helps = did_you_mean(word.partition("=")[0], options, "it has")
    raise bad_input("E0541", f"`{command.prog}` has no option `{word}`", helps=helps)


def _build() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="meshc",
        allow_abbrev=False,
        description="Compile tensor programs for a mesh of cores and run them on an emulator that counts cycles.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    common = common_options()
    built = {name: _add(commands, name, common) for name in COMMANDS}
    for name, configure in _CONFIGURED.items():
        configure(built[name])
    return parser, built


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, common: Parser) -> Parser:
    text = COMMANDS[name]
    return commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common], allow_abbrev=False
    )


def _source_options(parser: argparse.ArgumentParser) -> None:
    """What decides the graph of a source file."""
    parser.add_argument("--program", metavar="NAME", help="which program of the file; needed when it has several")
    parser.add_argument("--set", metavar="DIM=SIZE", action="append", default=[], help="override a `dim`; may repeat")
    parser.add_argument(
        "--path", metavar="FOLDER", action="append", default=[], help="where to look for imported files; may repeat"
    )
    parser.add_argument(
        "--deny",
        metavar="CODE",
        action="append",
        default=[],
        choices=("all", *WARNINGS),
        help=f"make an error of a warning: {', '.join(WARNINGS)} or all; may repeat",
    )


def _program_options(parser: argparse.ArgumentParser) -> None:
    """What decides the image of a source file."""
    _source_options(parser)
    parser.add_argument("--machine", metavar="MACHINE", help=f"preset or TOML file (default: {DEFAULT_MACHINE})")
    parser.add_argument("--seed", type=_seed, default=0, help="seed of placement and of random inputs (default: 0)")
    parser.add_argument(
        "--weights", metavar="FILE", help="a safetensors file; a program compiled with it leaves out what is zero in it"
    )
    parser.add_argument(
        "--prune",
        choices=PRUNE_MODES,
        help="leave out what is zero: as far as known before the run, in it (default: all)",
    )
    parser.add_argument(
        "--assume-finite",
        action="store_true",
        help="promise that no input or weight holds NaN or infinity",
    )


def _compile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .mesh program")
    parser.add_argument("-o", "--output", metavar="IMAGE", help="where to write the image")
    _program_options(parser)
    parser.add_argument("--emit", choices=("graph", "stages", "asm"), help="print this form on standard output")
    parser.add_argument("--print-after", metavar="PASS", action="append", default=[], help="print the graph after it")


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .mesh program or an image")
    _program_options(parser)
    parser.add_argument(
        "--input",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="a .npy or .npz file, or `random` or `zeros`; without NAME=, `random` or `zeros` is for all that remain",
    )
    parser.add_argument("--output", metavar="NAME=FILE", action="append", default=[], help="write an output as .npy")
    parser.add_argument("--check", action="store_true", help="compare with the NumPy reference")
    parser.add_argument(
        "--compare-unpruned", action="store_true", help="compile and run without pruning too, and compare the two"
    )
    parser.add_argument("--profile", metavar="RUN", help="keep the run in a .json file, for `view` and `explain`")


def _view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an image, a run (.json), or a .mesh program, which is compiled")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: FILE.html)")
    parser.add_argument("--profile", metavar="RUN", help="a run of the image")
    parser.add_argument("--compare", metavar="OTHER", help="another image or run, side by side with the first")
    parser.add_argument("--epoch", type=_seed, help="which epoch a picture or a text shows (default: the longest)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--svg", choices=("mesh", "timeline", "memory", "graph"), help="write one picture")
    form.add_argument("--text", action="store_true", help="print the mesh, the loads and the waits")
    form.add_argument("--perfetto", action="store_true", help="write a trace that ui.perfetto.dev opens")
    form.add_argument("--congestion", action="store_true", help="write a timeline for Tenstorrent's NoC visualizer")
    form.add_argument("--csv", action="store_true", help="write tables into a folder")
    _program_options(parser)


def _asm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an image, or with --assemble its text")
    parser.add_argument("--assemble", action="store_true", help="turn text into an image")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write; with --assemble it is needed")


def _machines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("machine", metavar="MACHINE", nargs="?", help="preset or TOML file; print all its constants")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a .mesh program, or functions to be imported")
    _source_options(parser)


def _fmt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a .mesh program; `-` formats standard input")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if something would change")


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subject",
        metavar="CODE|RUN|PROGRAM",
        help="the code of an error or a warning, such as E0301; a run (.json); with --pruned a .mesh program",
    )
    parser.add_argument("--pruned", action="store_true", help="of a program: say what is left out, and why")
    _program_options(parser)
    parser.add_argument(
        "--try", dest="trial", action="store_true", help="of a run: compile the suggestions and run them"
    )


_CONFIGURED = {
    "compile": _compile,
    "run": _run,
    "view": _view,
    "asm": _asm,
    "check": _check,
    "fmt": _fmt,
    "explain": _explain,
    "machines": _machines,
}


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"meshc {version('meshc')}\n")
        parser.exit()


def _seed(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least 0")
    return value
