"""TLS is verified always."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hub_support import RunningHub, SinkStage, batch

from agent.errors import ConfigError, RetryableDelivery

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


def secured(certificates, tmp_path, name="hub"):
    return RunningHub(
        tmp_path / "hub",
        tls_cert_file=str(certificates / f"{name}.pem"),
        tls_key_file=str(certificates / f"{name}.key"),
    )


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
