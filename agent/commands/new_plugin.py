"""`rebellion plugins new`: a distribution of one's own that works from the first moment, to be changed from there."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from string import Template

from agent.builtin import BUILTIN
from agent.errors import RebellionError

__all__ = ["KINDS", "new_plugin", "plugin_name", "written_files"]

KINDS = {
    "collector": "collectors",
    "sink": "sinks",
    "sampler": "sampling",
    "recovery": "recovery",
    "detector": "detectors",
    "observer": "observers",
    "command": "commands",
}
"""Word of the command line -> kind, in the plural as the configuration writes it; that is understood as well."""

_TITLES = {
    "collectors": ("Collector", "Reads the number that stands first in a file."),
    "sinks": ("Sink", "Writes each record as a JSON object, a line each, at the end of a file."),
    "sampling": ("Sampling strategy", "Keeps evenly spaced points; each stands for its stretch."),
    "recovery": ("Recovery strategy", "Waits a moment and makes the failed call once more."),
    "detectors": (
        "Detector",
        "Sees a value that is further from the one before than values of its series usually are.",
    ),
    "observers": ("Observer", "Tells syslog what a person must see."),
    "commands": ("Command", "Prints for how long this machine has run."),
}
_EXAMPLES = {
    "collectors": '\n[collectors.$name]\npath = "/proc/uptime"\n',
    "sinks": '\n[sinks.$name]\npath = "/var/lib/rebellion/$name.jsonl"\n',
    "sampling": '\n[sinks.websocket.buffer]\nsampler = "$name"\n',
    "recovery": '\n[[policies]]\ncomponent = "sink:*"\nerror = "ConnectionError"\nstrategy = "$name"\n',
    "detectors": '\n[transformer]\ndetector = "$name"\n',
}
_PACKAGE_DATA = """
[tool.setuptools.package-data]
$package = ["sample.toml"]
"""
_METRICS = """
## Metrics

| name | type | unit | what |
|---|---|---|---|
| `${name}_value` | gauge | | the number |
"""


def plugin_name(text: str) -> str:
    """A NAME of the command line, checked: the plugin's, its entry point's and part of its package's.

    Raises:
        ArgumentTypeError: It is not lower_snake_case.
    """
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text):
        return text
    guess = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()).strip("_0123456789")
    hint = f"; {guess!r} would do" if guess else ""
    raise argparse.ArgumentTypeError(f"must be lower_snake_case (got {text!r}){hint}")


def new_plugin(args: argparse.Namespace) -> int:
    """Write the distribution and say what to do with it.

    Raises:
        RebellionError: The name is a built-in plugin's, or the folder exists.
    """
    kind, name = KINDS.get(args.kind, args.kind), args.name
    if name in BUILTIN.get(kind, ()):
        raise RebellionError(f"the name is taken by plugins.{kind}.{name}, which comes with the agent; choose another")
    folder = Path(args.dir) / f"rebellion-{name.replace('_', '-')}"
    if folder.exists():
        raise RebellionError(f"{folder} exists and is left as it is; choose another NAME or --dir")
    for path, text in written_files(kind, name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    sys.stdout.write(_next_steps(folder, name))
    return 0


def written_files(kind: str, name: str) -> dict[str, str]:
    """Every file of the distribution by its path.

    Args:
        kind: A value of `KINDS`. Only those that `BUILTIN` has are configured and so have a `Config` and a sample.
        name: Of the plugin, lower_snake_case.
    """
    from importlib.resources import files

    facts = _facts(kind, name)
    templates = files("agent.commands") / "templates"
    places = {
        "pyproject.toml": "common/pyproject.toml.in",
        "README.md": "common/README.md.in",
        f"src/{facts['package']}/__init__.py": f"{kind}/module.py.in",
        f"tests/test_{name}.py": f"{kind}/test.py.in",
    }
    if kind in BUILTIN:
        places[f"src/{facts['package']}/sample.toml"] = f"{kind}/sample.toml.in"
    return {
        path: Template((templates / place).read_text(encoding="utf-8")).substitute(facts)
        for path, place in places.items()
    }


def _facts(kind: str, name: str) -> dict[str, str]:
    """What the templates ask for."""
    title, what = _TITLES[kind]
    facts = {
        "name": name,
        "command": name.replace("_", "-"),
        "package": f"rebellion_{name}",
        "class_name": "".join(word.capitalize() for word in name.split("_")),
        "distribution": f"rebellion-{name.replace('_', '-')}",
        "title": title,
        "kind_word": title.lower(),
        "what": what,
    }
    public = sorted(["Config", facts["class_name"]])
    facts["imported"], facts["exported"] = ", ".join(public), ", ".join(f'"{one}"' for one in public)
    return facts | _facts_of_configuration(kind, facts)


def _facts_of_configuration(kind: str, facts: dict[str, str]) -> dict[str, str]:
    """What differs between kinds that are configured and those that are not."""
    if kind not in BUILTIN:
        told = {"sample": "There is nothing to set.", "tests": "# calls it as the agent does"}
        return told | dict.fromkeys(("example", "metrics", "package_data"), "")
    return {
        "sample": Template("See [sample.toml](src/$package/sample.toml).").substitute(facts),
        "tests": "# the conformance suite of its kind, and its sample.toml",
        "example": Template(_EXAMPLES[kind]).substitute(facts),
        "metrics": Template(_METRICS).substitute(facts) if kind == "collectors" else "",
        "package_data": Template(_PACKAGE_DATA).substitute(facts),
    }


def _next_steps(folder: Path, name: str) -> str:
    return (
        f"written to {folder}\n"
        f"  its tests      cd {folder} && python -m pytest\n"
        f"  install it     {sys.executable} -m pip install --editable {folder}\n"
        f'  load it        [agent] plugins = ["{name}"], then: rebellion plugins list\n'
    )
