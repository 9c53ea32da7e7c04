"""TLS is verified always."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import warnings

import pytest
from hub_support import RunningHub, SinkStage, batch

from agent.errors import ConfigError, RetryableDelivery
from agent.hub import server
from agent.hub.tokens import TokenFile

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Paths of a certificate for 127.0.0.1 that is its own authority, of its key, and of an unrelated certificate."""
    folder = tmp_path_factory.mktemp("tls")
    for name, address in (("hub", "127.0.0.1"), ("other", "127.0.0.1"), ("elsewhere", "192.0.2.1")):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run(
            [*command, "-addext", f"subjectAltName=IP:{address}"], cwd=folder, check=True, capture_output=True
        )
    return folder


@pytest.fixture(scope="module")
def client_certificates(tmp_path_factory):
    """An authority `ca`, certificates of the agents `web1` and `web2` that it signed, and `stranger`, which nobody signed."""
    folder = tmp_path_factory.mktemp("clients")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]

    def make(name, *words, subject=""):
        command = ["openssl", "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", *words]
        subprocess.run([*command, "-subj", f"/CN={subject or name}"], cwd=folder, check=True, capture_output=True)

    make("ca")
    for name in ("web1", "web2"):
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:FALSE"]
        make(name, *signed, "-addext", f"subjectAltName=DNS:{name}.example", subject=name)
    make("stranger", subject="web1")
    return folder


def secured(certificates, tmp_path, name="hub", **keys):
    return RunningHub(
        tmp_path / "hub",
        tls_cert_file=str(certificates / f"{name}.pem"),
        tls_key_file=str(certificates / f"{name}.key"),
        **keys,
    )


def showing(certificates, clients, name):
    """What a sink is configured with to trust the hub and show this certificate."""
    keys = {"ca_file": str(certificates / "hub.pem")}
    if name:
        keys |= {"tls_cert_file": str(clients / f"{name}.pem"), "tls_key_file": str(clients / f"{name}.key")}
    return keys


async def test_a_trusted_certificate_is_accepted(certificates, tmp_path):
    async with secured(certificates, tmp_path) as hub:
        assert hub.url.startswith("wss://")
        sink = SinkStage().sink(hub.url, ca_file=str(certificates / "hub.pem"))
        await sink.deliver([batch(1.0), batch(2.0)], 1)
        await sink.close()


async def test_a_certificate_of_another_authority_is_refused(certificates, tmp_path):
    async with secured(certificates, tmp_path) as hub:
        for keys in ({"ca_file": str(certificates / "other.pem")}, {}):
            sink = SinkStage().sink(hub.url, **keys)
            with pytest.raises(RetryableDelivery, match="certificate verify failed"):
                await sink.deliver([batch(1.0)], 1)


async def test_a_certificate_for_another_address_is_refused(certificates, tmp_path):
    async with secured(certificates, tmp_path, "elsewhere") as hub:
        sink = SinkStage().sink(hub.url, ca_file=str(certificates / "elsewhere.pem"))
        with pytest.raises(RetryableDelivery, match="certificate verify failed"):
            await sink.deliver([batch(1.0)], 1)


def test_a_file_that_holds_no_certificate_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(ConfigError, match=r"sinks\.websocket: ca_file: .*ca\.pem: cannot be used"):
        SinkStage().sink("wss://127.0.0.1:1", ca_file=str(tmp_path / "ca.pem"))


async def test_a_client_certificate_lets_in_the_agent_that_it_names(certificates, client_certificates, tmp_path):
    async with secured(certificates, tmp_path, tls_client_ca_file=str(client_certificates / "ca.pem")) as hub:
        for agent, shown in (("web1", "web1"), ("web2.example", "web2")):
            sink = SinkStage(agent).sink(hub.url, **showing(certificates, client_certificates, shown))
            await sink.deliver([batch(1.0)], 1)
            await sink.close()


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        ("", "refused with HTTP 403"),
        ("web2", "4403 the certificate names 'web2', 'web2.example', not 'web1'"),
        ("stranger", "connection closed while reading"),
    ],
)
async def test_an_agent_without_a_certificate_of_its_own_is_refused(
    certificates, client_certificates, tmp_path, shown, complaint
):
    async with secured(certificates, tmp_path, tls_client_ca_file=str(client_certificates / "ca.pem")) as hub:
        sink = SinkStage("web1").sink(hub.url, **showing(certificates, client_certificates, shown))
        with pytest.raises(RetryableDelivery, match=complaint):
            await sink.deliver([batch(1.0)], 1)


async def test_a_page_needs_no_client_certificate(certificates, client_certificates, tmp_path):
    trusting = ssl.create_default_context(cafile=str(certificates / "hub.pem"))
    async with secured(certificates, tmp_path, tls_client_ca_file=str(client_certificates / "ca.pem")) as hub:
        host, port = hub.page.removeprefix("https://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_token_and_certificate_must_agree_when_both_are_asked_for(certificates, client_certificates, tmp_path):
    (tmp_path / "token").write_text(TokenFile(tmp_path / "tokens").create("web1", ""))
    keys = {"tls_client_ca_file": str(client_certificates / "ca.pem"), "agent_tokens_file": str(tmp_path / "tokens")}
    async with secured(certificates, tmp_path, **keys) as hub:
        for shown, complaint in (("web2", "4403 the certificate names"), ("", "HTTP 403"), ("web1", "")):
            cards = showing(certificates, client_certificates, shown)
            sink = SinkStage("web1").sink(hub.url, token_file=str(tmp_path / "token"), **cards)
            with pytest.raises(RetryableDelivery, match=complaint) if complaint else contextlib.nullcontext():
                await sink.deliver([batch(1.0)], 1)
            await sink.close()


def test_a_client_certificate_that_cannot_be_used_is_named(tmp_path, client_certificates):
    (tmp_path / "cert.pem").write_text("none")
    with pytest.raises(ConfigError, match=r"sinks\.websocket: tls_cert_file: .*cert\.pem: cannot be used"):
        SinkStage().sink("wss://127.0.0.1:1", tls_cert_file=str(tmp_path / "cert.pem"))
    with pytest.raises(ValueError, match="tls_cert_file needs a url that begins with wss://"):
        SinkStage().sink("ws://127.0.0.1:1", tls_cert_file=str(client_certificates / "web1.pem"))
    with pytest.raises(ValueError, match="tls_cert_file must be set"):
        SinkStage().sink("wss://127.0.0.1:1", tls_key_file=str(client_certificates / "web1.key"))


def test_a_key_under_a_passphrase_is_refused_and_not_asked_for(tmp_path, client_certificates):
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", str(client_certificates / "web1.key"), "-aes128", "-passout", "pass:secret"]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    with pytest.raises(ConfigError, match="the key needs a passphrase"):
        SinkStage().sink(
            "wss://127.0.0.1:1", tls_cert_file=str(client_certificates / "web1.pem"), tls_key_file=str(locked)
        )


async def test_tls_before_1_2_is_refused(certificates, tmp_path):
    async with secured(certificates, tmp_path) as hub:
        host, port = hub.page.removeprefix("https://").rstrip("/").split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=at_most(certificates, ssl.TLSVersion.TLSv1_2))
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(host, int(port), ssl=at_most(certificates, ssl.TLSVersion.TLSv1_1))


async def test_whoever_connects_and_speaks_no_tls_is_sent_away(certificates, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_HANDSHAKE_WITHIN_S", 0.1)
    async with secured(certificates, tmp_path) as hub, asyncio.timeout(20):
        host, port = hub.page.removeprefix("https://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


def at_most(certificates, version):
    """A client that offers nothing newer, and would take what is older."""
    context = ssl.create_default_context(cafile=str(certificates / "hub.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
