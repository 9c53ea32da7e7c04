from __future__ import annotations

import pytest

from agent.hub.identity import Identity, certificate_names

CERTIFICATE = {
    "subject": ((("countryName", "XX"),), (("commonName", "web1"),)),
    "subjectAltName": (("DNS", "web1.example"), ("IP Address", "192.0.2.1"), ("DNS", "web-1")),
}


def test_a_certificate_names_its_common_name_and_its_dns_names() -> None:
    assert certificate_names(CERTIFICATE) == {"web1", "web1.example", "web-1"}
    assert certificate_names({}) == certificate_names(None) == frozenset()


@pytest.mark.parametrize(
    ("identity", "complaint"),
    [
        (Identity(), None),
        (Identity("web1"), None),
        (Identity("web2"), "the token belongs to 'web2', not to 'web1'"),
        (Identity(None, frozenset({"a", "web1"})), None),
        (Identity(None, frozenset({"b", "a"})), "the certificate names 'a', 'b', not 'web1'"),
        (Identity("web1", frozenset({"web1"})), None),
        (Identity("web1", frozenset({"web2"})), "the certificate names 'web2', not 'web1'"),
        (Identity("web2", frozenset({"web1"})), "the token belongs to 'web2', not to 'web1'"),
    ],
)
def test_token_and_certificate_must_both_be_the_agents(identity: Identity, complaint: str | None) -> None:
    assert identity.problem_with("web1") == complaint
