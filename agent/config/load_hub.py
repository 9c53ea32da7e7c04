"""Loads `hub.toml` and refuses what would listen in the open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.addresses import is_loopback, parse_listen
from agent.config.check import Checker
from agent.config.loaded import LoadedHubConfig
from agent.config.schema import HubConfig, HubSection
from agent.config.state import state_folder
from agent.config.tree import read_tree
from agent.errors import ConfigError, ConfigProblem

__all__ = ["agent_tokens_path", "load_hub_config"]


def load_hub_config(paths: Sequence[str | Path] | None, environ: Mapping[str, str]) -> LoadedHubConfig:
    """Read, merge and check the hub's configuration; see `load_agent_config` for the arguments.

    Raises:
        ConfigError: With every problem found.
    """
    tree = read_tree("hub", paths, environ)
    checker = Checker(tree, environ)
    config = checker.parse(HubConfig, tree.values, ())
    if config is None:
        raise ConfigError(checker.problems)
    state_dir = state_folder(config.hub.state_dir, environ, checker, "hub")
    listen = _checked_listen(config.hub, checker)
    if checker.problems:
        raise ConfigError(checker.problems)
    return LoadedHubConfig(config, listen, state_dir, tree)


def agent_tokens_path(paths: Sequence[str | Path] | None, environ: Mapping[str, str]) -> Path:
    """Where `hub.agent_tokens_file` points, whether or not there is such a file yet.

    Raises:
        ConfigError: The configuration cannot be read, or does not say.
    """
    tree = read_tree("hub", paths, environ)
    path = ("hub", "agent_tokens_file")
    name = tree.values.get("hub", {}).get("agent_tokens_file", "")
    if not name or not isinstance(name, str):
        hint = "name a file that the hub can read, as /var/lib/rebellion/hub/agent-tokens"
        raise ConfigError([ConfigProblem(tree.source_of(path), "hub.agent_tokens_file", "must be set", hint)])
    return (tree.folder_of(path) / name).absolute()


def _checked_listen(hub: HubSection, checker: Checker) -> tuple[str, int]:
    if bool(hub.tls_cert_file) != bool(hub.tls_key_file):
        set_key, other = ("tls_cert_file", "tls_key_file") if hub.tls_cert_file else ("tls_key_file", "tls_cert_file")
        checker.report(("hub", other), f"must be set, because hub.{set_key} is")
    if hub.tls_client_ca_file and not hub.tls_cert_file:
        checker.report(("hub", "tls_cert_file"), "must be set, because hub.tls_client_ca_file is")
    try:
        host, port = parse_listen(hub.listen)
    except ValueError as error:
        checker.report(("hub", "listen"), str(error))
        return "", 0
    if not is_loopback(host):
        _check_guarded(hub, checker)
    return host, port


def _check_guarded(hub: HubSection, checker: Checker) -> None:
    where = f"listens on {hub.listen!r}, which others can reach"
    if not hub.tls_cert_file and not hub.insecure:
        hint = "set hub.tls_cert_file and hub.tls_key_file, or hub.insecure = true to send everything in clear"
        checker.report(("hub", "listen"), f"{where}, without TLS", hint)
    if not hub.agent_tokens_file and not hub.tls_client_ca_file:
        hint = "make it with `rebellion hub token create AGENT`, or ask agents for certificates: hub.tls_client_ca_file"
        checker.report(("hub", "agent_tokens_file"), f"must be set, because the hub {where}", hint)
    if not hub.read_token_file:
        checker.report(("hub", "read_token_file"), f"must be set, because the hub {where}")
