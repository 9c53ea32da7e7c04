from __future__ import annotations

from pathlib import Path

import pytest

from agent.addresses import is_loopback, parse_listen
from agent.config.load_hub import load_hub_config
from agent.config.schema import HubConfig
from agent.errors import ConfigError


def test_no_file_gives_the_defaults(environ: dict[str, str]) -> None:
    loaded = load_hub_config(None, environ)
    assert loaded.config == HubConfig()
    assert loaded.listen == ("127.0.0.1", 8765)


@pytest.mark.parametrize(
    ("listen", "parsed"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("hub.lan:9", ("hub.lan", 9))]
)
def test_listen_is_host_and_port(listen: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(listen) == parsed


@pytest.mark.parametrize("listen", ["", "8765", ":8765", "host:", "host:x", "::1:80", "host:70000", "host:-1"])
def test_listen_that_is_not_host_and_port_is_refused(environ: dict[str, str], listen: str) -> None:
    with pytest.raises(ConfigError, match=r"hub\.listen: must be host:port"):
        load_hub_config(None, environ | {"REBELLION_HUB__LISTEN": listen})


def test_only_loopback_counts_as_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.9", "::1", "localhost", "0.0.0.0", "::", "hub.lan")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_listening_in_the_open_needs_tls_and_tokens(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_hub_config(None, environ | {"REBELLION_HUB__LISTEN": "0.0.0.0:8765"})
    assert [problem.key for problem in caught.value.problems] == [
        "hub.listen",
        "hub.agent_tokens_file",
        "hub.read_token_file",
    ]


def test_certificate_without_key_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("")
    with pytest.raises(ConfigError, match=r"hub\.tls_key_file: must be set, because hub\.tls_cert_file is"):
        load_hub_config(None, environ | {"REBELLION_HUB__TLS_CERT_FILE": str(tmp_path / "cert.pem")})


def test_sections_of_the_agent_do_not_belong_into_hub_toml(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[agent]\nname = 'x'\n")
    with pytest.raises(ConfigError, match="agent: there is no such key"):
        load_hub_config([tmp_path / "hub.toml"], environ)


def test_certificates_of_agents_may_stand_in_for_tokens_and_need_tls(environ: dict[str, str], tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem", "read"):
        (tmp_path / name).write_text("")
    text = "[hub]\nlisten = '0.0.0.0:1'\nread_token_file = 'read'\ntls_client_ca_file = 'ca.pem'\n"
    (tmp_path / "hub.toml").write_text(text + "tls_cert_file = 'cert.pem'\ntls_key_file = 'key.pem'\n")
    assert load_hub_config([tmp_path / "hub.toml"], environ).listen == ("0.0.0.0", 1)
    (tmp_path / "hub.toml").write_text(text + "insecure = true\n")
    with pytest.raises(ConfigError, match=r"hub\.tls_cert_file: must be set, because hub\.tls_client_ca_file is"):
        load_hub_config([tmp_path / "hub.toml"], environ)
