"""The commands. Each takes the parsed arguments, prints its answer and returns the exit status."""

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import yaml

from . import VERSION, condarc, environment_file, prefix
from .condarc import ROOT, settings
from .errors import CondaError

NOTHING = {"message": "All requested packages already installed.", "success": True}


def info(args: Namespace) -> int:
    """`info`, `info --base`, `info --envs`, `env list`."""
    if getattr(args, "base", False):
        return _say(args, {"root_prefix": str(ROOT)}, str(ROOT))
    envs = {"envs": [str(env) for env in prefix.known()]}
    if args.command == "env" or args.envs:
        rows = [f"{'base' if env == ROOT else env.name:24} {env}" for env in prefix.known()]
        return _say(args, envs, "\n".join(["# conda environments:", "#", *rows]))
    conf = settings()
    data = envs | {
        "channels": condarc.channel_urls(conf["channels"]),
        "conda_prefix": str(ROOT),
        "conda_version": VERSION,
        "config_files": [str(file) for file in condarc.files()],
        "envs_dirs": conf["envs_dirs"],
        "pkgs_dirs": conf["pkgs_dirs"],
        "platform": "linux-64",
        "python_version": f"{sys.version.split()[0]}.final.0",
        "root_prefix": str(ROOT),
        "root_writable": os.access(ROOT / "conda-meta" / "history", os.W_OK),
    }
    return _say(args, data, "\n".join(f"{key:>24} : {value}" for key, value in data.items()))


def config_show(args: Namespace) -> int:
    """`config --show [KEY...]`."""
    conf = settings()
    if unknown := set(args.show) - set(conf):
        raise CondaError("ArgumentError", f"no such setting here: {', '.join(sorted(unknown))}")
    shown = {key: conf[key] for key in args.show or sorted(conf)}
    return _say(args, shown, yaml.safe_dump(shown).rstrip())


def list_packages(args: Namespace) -> int:
    """`list [REGEX]`."""
    rows = prefix.listing(prefix.existing(_target(args)))
    rows = [row for row in rows if not args.regex or re.search(args.regex, str(row["name"]))]
    lines = ["{name:24} {version:16} {build_string:16} {channel}".format(**row) for row in rows]
    return _say(args, rows, "\n".join(lines))


def compare(args: Namespace) -> int:
    """`compare FILE`: 1 where the environment lacks something the file names; extras are no difference."""
    from rattler import BuildString, MatchSpec, PackageRecord

    rows = {row["name"]: row for row in prefix.listing(prefix.existing(_target(args)))}
    wanted = environment_file.read(args.file)
    differences = []
    for spec in [*wanted.conda, *wanted.pip]:
        try:
            match = MatchSpec(spec)
        except Exception as error:  # a requirement that is no conda spec: `-e .`, an address, `a[b]`
            raise CondaError("InvalidMatchSpec", f"Invalid spec '{spec}': {error}") from error
        name = spec_name_of(match)
        if not (row := rows.get(name)):
            differences.append(f"{name} not found")
            continue
        build = BuildString(row["build_string"])
        record = PackageRecord(name, row["version"], build, row["build_number"], "noarch", None)
        if not match.matches(record):
            running = f"{name}=={row['version']}"
            differences.append(f"{name} found but mismatch. Specification pkg: {spec}, Running pkg: {running}")
    answer = differences or ["Success. The environment has all that the file names."]
    _say(args, answer, "\n".join(answer))
    return int(bool(differences))


def spec_name_of(match) -> str:
    """The name in a parsed spec; underscores stay, so `typing_extensions` is not found, as with conda."""
    return match.name.normalized if match.name else ""


def export(args: Namespace) -> int:
    """`env export [--from-history] [--no-builds]`."""
    env = prefix.existing(_target(args))
    rows = prefix.listing(env)
    if args.from_history:
        dependencies: list[object] = list(prefix.asked(env).values())
    else:
        form = "{name}={version}" if args.no_builds else "{name}={version}={build_string}"
        dependencies = [form.format(**row) for row in rows if row["channel"] != "pypi"]
        if pip := ["{name}=={version}".format(**row) for row in rows if row["channel"] == "pypi"]:
            dependencies.append({"pip": pip})
    data = {
        "name": "base" if env == ROOT else env.name,
        "channels": settings()["channels"],
        "dependencies": dependencies,
        "prefix": str(env),
    }
    text = json.dumps(data, indent=2) if args.json else yaml.safe_dump(data, sort_keys=False).rstrip()
    if args.file:
        Path(args.file).write_text(f"{text}\n")
    else:
        print(text)
    return 0


def env_apply(args: Namespace) -> int:
    """`env create` and `env update`: both make what is missing and update what is there."""
    from . import transaction

    wanted = environment_file.read(args.file)
    env = _target(args, wanted.name)
    if env == ROOT:
        raise CondaError("CondaEnvException", "the base is not for packages here; name an environment")
    channels = list(wanted.channels)
    if "nodefaults" not in channels:
        channels += [name for name in settings()["channels"] if name not in channels]
    channels = [name for name in channels if name != "nodefaults"]
    actions = transaction.change(env, wanted.conda, channels, prune=getattr(args, "prune", False))
    installed = environment_file.pip_install(env, wanted.pip, args.file) if wanted.pip else None
    if wanted.variables:
        _variables_file(env).write_text(json.dumps({"env_vars": wanted.variables, "version": 1}))
    if actions is None and installed is None:
        return _say(args, NOTHING, NOTHING["message"])
    done = (actions or {}) | ({"PIP": installed} if installed else {})
    hint = f"#\n# To activate this environment, use\n#\n#     $ conda activate {env}\n#"
    return _say(args, {"actions": done, "prefix": str(env), "success": True}, hint)


def packages(args: Namespace) -> int:
    """`create`, `install` and `remove` of packages."""
    from . import transaction

    env = _target(args)
    if args.command == "create":
        if prefix.is_environment(env):
            if not _confirmed(args, f"{env} exists and would be removed first"):
                return 0
            shutil.rmtree(env)
    else:
        prefix.existing(env)
    channels = args.channel if args.override_channels else [*args.channel, *settings()["channels"]]
    removing = args.command == "remove"
    actions = transaction.change(
        env,
        [] if removing else args.specs,
        channels,
        remove=[prefix.spec_name(spec) for spec in args.specs] if removing else [],
        dry_run=args.dry_run,
    )
    if actions is None:
        return _say(args, NOTHING, NOTHING["message"])
    text = "\n".join(f"{verb} {row['name']} {row['version']}" for verb in actions for row in actions[verb])
    return _say(args, {"actions": actions, "prefix": str(env), "success": True}, text)


def env_remove(args: Namespace) -> int:
    """`env remove`."""
    env = prefix.existing(_target(args))
    if env == ROOT:
        raise CondaError("CondaEnvironmentError", "cannot remove the base environment")
    if not _confirmed(args, f"{env} would be removed"):
        return 0
    shutil.rmtree(env)
    return _say(args, {"prefix": str(env), "success": True}, f"removed {env}")


def run_in(args: Namespace) -> int:
    """`run COMMAND...`: the command's own exit status."""
    env = prefix.existing(_target(args))
    if not args.argv:
        raise CondaError("ArgumentError", "no command to run")
    stored = _variables_file(env)
    variables = json.loads(stored.read_text())["env_vars"] if stored.is_file() else {}
    environment = os.environ | {key: str(value) for key, value in variables.items()}
    environment |= {
        "CONDA_DEFAULT_ENV": env.name,
        "CONDA_PREFIX": str(env),
        "PATH": f"{env}/bin:{os.environ.get('PATH', '')}",
    }
    program = shutil.which(args.argv[0], path=environment["PATH"])
    if not program:
        raise CondaError("CommandNotFoundError", f"no {args.argv[0]} on the environment's PATH")
    return subprocess.call([program, *args.argv[1:]], env=environment, cwd=args.cwd)


def _target(args: Namespace, name_in_file: str | None = None) -> Path:
    if args.prefix:
        return Path(args.prefix).expanduser().absolute()
    name = args.name or name_in_file
    if not name and (active := os.environ.get("CONDA_PREFIX")):
        return Path(active)
    return prefix.by_name(name) if name else ROOT


def _variables_file(env: Path) -> Path:
    return env / "conda-meta" / "state"


def _confirmed(args: Namespace, question: str) -> bool:
    """Ask as conda does: without a terminal the answer is no, and that is no failure."""
    if args.yes or args.json or settings()["always_yes"]:
        return True
    try:
        answer = input(f"{question}. Proceed (y/[n])? ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("\nCondaSystemExit: Exiting.", file=sys.stderr)
    return False


def _say(args: Namespace, data: object, text: str) -> int:
    print(json.dumps(data, indent=2) if args.json else text)
    return 0
