"""What an HTTP answer means for a delivery, against a real server."""

import pytest
from http_receiver import Answer, HttpReceiver

from agent.addresses import check_http_url
from agent.errors import PermanentDelivery, RetryableDelivery
from agent.http_endpoint import HttpEndpoint


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        yield made


def test_a_body_arrives_with_its_headers_and_todays_token(receiver, tmp_path):
    token = tmp_path / "token"
    endpoint = HttpEndpoint(receiver.url, token_file=str(token))
    receiver.always = Answer(204)
    for secret in ("one", "two"):
        token.write_text(f"{secret}\n")
        endpoint.deliver(b"body", {"Content-Type": "text/plain"})
    assert [request.headers["authorization"] for request in receiver.requests] == ["Bearer one", "Bearer two"]
    assert receiver.requests[0].body == b"body"
    assert receiver.requests[0].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_will_never_be_taken_is_given_up(receiver, status):
    receiver.always = Answer(status, b"no such label")
    with pytest.raises(PermanentDelivery, match=f"answers {status} .*no such label"):
        HttpEndpoint(receiver.url).deliver(b"", {})


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503])
def test_everything_else_is_tried_again(receiver, status):
    receiver.always = Answer(status)
    with pytest.raises(RetryableDelivery, match=f"answers {status}") as caught:
        HttpEndpoint(receiver.url).deliver(b"", {})
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)])
def test_seconds_of_a_retry_after_are_passed_on(receiver, said, seconds):
    receiver.always = Answer(429, headers=(("Retry-After", said),))
    with pytest.raises(RetryableDelivery) as caught:
        HttpEndpoint(receiver.url).deliver(b"", {})
    assert caught.value.retry_after_s == seconds


def test_nobody_there_is_tried_again(receiver):
    url = receiver.url
    receiver._server.server_close()
    with pytest.raises(RetryableDelivery, match=r"127\.0\.0\.1"):
        HttpEndpoint(url).deliver(b"", {})


def test_a_token_that_cannot_be_read_is_tried_again(receiver, tmp_path):
    with pytest.raises(RetryableDelivery, match="nowhere"):
        HttpEndpoint(receiver.url, token_file=str(tmp_path / "nowhere")).deliver(b"", {})


def test_a_longer_answer_than_asked_for_is_an_error(receiver):
    receiver.always = Answer(200, b"x" * 100)
    assert HttpEndpoint(receiver.url).get({}, 100) == b"x" * 100
    with pytest.raises(ValueError, match="more than 99 bytes"):
        HttpEndpoint(receiver.url).get({}, 99)


@pytest.mark.parametrize("url", ["ftp://host/x", "host:80", "http://", "http://me@host/"])
def test_an_address_that_is_none_is_refused_in_words(url):
    with pytest.raises(ValueError, match="url must"):
        check_http_url(url)
