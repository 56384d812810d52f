"""The command line: what is not declared here ends with exit status 2, as with conda."""

import argparse

from . import VERSION, commands, terms

FLAG = {"action": "store_true"}
FILE = (("-f", "--file"), {"default": "environment.yml"})
EXPORT = [(("--no-builds",), FLAG), (("--from-history",), FLAG), (("-f", "--file"), {})]


def run(argv: list[str]) -> int:
    """Parse and run; returns the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not hasattr(args, "function"):
        parser.print_help()
        return 0
    return args.function(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("conda", description="A stand-in for conda on py-rattler.")
    parser.add_argument("-V", "--version", action="version", version=f"conda {VERSION}")
    sub = parser.add_subparsers(dest="command")

    _add(sub, "info", commands.info, (("--base",), FLAG), (("-e", "--envs"), FLAG))
    _add(sub, "list", commands.list_packages, (("regex",), {"nargs": "?"}))
    _add(sub, "compare", commands.compare, (("file",), {}))
    _add(sub, "config", commands.config_show, (("--show",), {"nargs": "*", "required": True}))
    _add(sub, "export", commands.export, *EXPORT)
    for verb in ("create", "install", "remove"):
        _add(sub, verb, commands.packages, (("specs",), {"nargs": "*"}), (("-d", "--dry-run"), FLAG))
    _add(
        sub,
        "run",
        commands.run_in,
        (("--no-capture-output", "--live-stream"), FLAG),
        (("--cwd",), {}),
        (("argv",), {"nargs": argparse.REMAINDER}),
    )

    env = sub.add_parser("env").add_subparsers(dest="subcommand", required=True)
    _add(env, "create", commands.env_apply, FILE)
    _add(env, "update", commands.env_apply, FILE, (("--prune",), FLAG))
    _add(env, "list", commands.info)
    _add(env, "export", commands.export, *EXPORT)
    _add(env, "remove", commands.env_remove)
    if terms.known():
        tos = sub.add_parser("tos").add_subparsers(dest="subcommand", required=True)
        places = [
            ((f"--{place}",), {"action": "store_const", "dest": "place", "const": place}) for place in terms.PLACES
        ]
        _add(tos, "accept", terms.accept, *places)
    return parser


def _add(sub, name: str, function, *arguments) -> None:
    command = sub.add_parser(name)
    command.add_argument("-n", "--name")
    command.add_argument("-p", "--prefix")
    command.add_argument("-c", "--channel", action="append", default=[])
    for flags in (("--json",), ("-q", "--quiet"), ("-v", "--verbose"), ("-y", "--yes"), ("--override-channels",)):
        command.add_argument(*flags, **FLAG)
    for flags, options in arguments:
        command.add_argument(*flags, **options)
    command.set_defaults(function=function)
