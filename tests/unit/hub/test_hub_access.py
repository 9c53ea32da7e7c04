from __future__ import annotations

import hashlib

import pytest

from agent.config.schema import HubSection
from agent.dashboard.door import is_same_origin
from agent.errors import ConfigError
from agent.hub.access import Access, tls_context


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("# agents\nweb1 s3cret\n\nweb2 t0ken\nweb2 newer\n")
    return str(path)


def test_each_token_belongs_to_its_agent(tokens):
    access = Access(HubSection(agent_tokens_file=tokens))
    assert access.asks_agents_for_tokens
    found = [access.agent_of(f"Bearer {token}") for token in ("s3cret", "t0ken", "newer", "wrong", "")]
    assert found == ["web1", "web2", "web2", None, None]
    assert [access.agent_of(text) for text in (None, "", "Basic s3cret", "s3cret")] == [None] * 4


@pytest.mark.parametrize("text", ["web1\n", "web1 a b\n", "web1 sha256:12\n", "web1 sha256:xyz now\n", "web1 a b c\n"])
def test_a_token_file_that_is_none_is_refused_without_showing_what_stands_in_it(tmp_path, text):
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Access(HubSection(agent_tokens_file=str(tmp_path / "tokens")))
    assert "agent_tokens_file" in str(caught.value)
    assert "web1" not in str(caught.value)


def test_a_token_file_without_tokens_lets_nobody_in(tmp_path):
    (tmp_path / "tokens").write_text("# none yet\n")
    access = Access(HubSection(agent_tokens_file=str(tmp_path / "tokens")))
    assert access.asks_agents_for_tokens
    assert [access.agent_of(text) for text in (None, "Bearer ", "Bearer x")] == [None] * 3


def test_the_read_token_may_stand_there_hashed(tmp_path):
    (tmp_path / "read").write_text(f"sha256:{hashlib.sha256(b'look').hexdigest()}\n")
    access = Access(HubSection(read_token_file=str(tmp_path / "read")))
    assert access.may_read("Bearer look", "", "192.0.2.7", "hub.example")
    assert not access.may_read("Bearer look2", "", "192.0.2.7", "hub.example")
    (tmp_path / "read").write_text("two words\n")
    with pytest.raises(ConfigError, match=r"read_token_file: .*does not hold one token"):
        Access(HubSection(read_token_file=str(tmp_path / "read")))


def test_a_missing_token_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"read_token_file: .*nowhere: cannot be read: No such file"):
        Access(HubSection(read_token_file=str(tmp_path / "nowhere")))


def test_without_a_read_token_only_loopback_reads_and_only_under_its_own_name():
    access = Access(HubSection())
    assert access.may_read(None, "", "127.0.0.1", "127.0.0.1:8765")
    assert access.may_read(None, "", "::1", "[::1]:8765")
    assert access.may_read(None, "", "::ffff:127.0.0.1", "localhost")
    assert not access.may_read(None, "", "192.0.2.7", "127.0.0.1")
    assert not access.may_read(None, "", "127.0.0.1", "evil.example:8765")
    assert not access.may_read(None, "", "127.0.0.1", "")


def test_with_a_read_token_nobody_reads_without_it(tmp_path):
    (tmp_path / "read").write_text("look\n")
    access = Access(HubSection(read_token_file=str(tmp_path / "read")))
    assert access.may_read("Bearer look", "", "192.0.2.7", "hub.example")
    assert access.may_read(None, "look", "192.0.2.7", "hub.example")
    assert not access.may_read(None, "", "127.0.0.1", "127.0.0.1")
    assert not access.may_read("Bearer no", "", "127.0.0.1", "127.0.0.1")


def test_listening_in_the_open_is_refused_without_tls_and_without_tokens(tokens):
    with pytest.raises(ConfigError, match="TLS is not configured"):
        Access(HubSection(listen="0.0.0.0:1", agent_tokens_file=tokens))
    with pytest.raises(ConfigError, match="agent_tokens_file"):
        Access(HubSection(listen="0.0.0.0:1", insecure=True))
    assert not Access(HubSection(listen="[::]:1", insecure=True, agent_tokens_file=tokens)).listen.is_loopback


def test_a_listen_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"hub: listen: must be host:port"):
        Access(HubSection(listen="8765"))


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"host": "h:1"}, True),
        ({"host": "h:1", "origin": "http://h:1"}, True),
        ({"host": "h:1", "origin": "http://h:2"}, False),
        ({"host": "h:1", "origin": "null"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"host": "", "origin": "null"}, False),
    ],
)
def test_only_pages_of_this_hub_are_of_the_same_origin(headers, answer):
    assert is_same_origin(headers) is answer


def test_a_certificate_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "cert.pem").write_text("none")
    with pytest.raises(ConfigError, match=r"tls_cert_file: .*cert\.pem: cannot be used"):
        tls_context(HubSection(tls_cert_file=str(tmp_path / "cert.pem")))
    assert tls_context(HubSection()) is None
