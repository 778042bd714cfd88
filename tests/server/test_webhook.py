"""Webhooks against a real server that fails first."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platemark.client.webhook import Outbox, Webhook


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "webhook")


def wait_for(met: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_fails_is_sent_again_in_order_and_signed(receiver: Any, outbox: Outbox) -> None:
    receiver.answers = [500, 503, "drop"]
    said: list[str] = []
    key = b"0123456789abcdef0123456789"
    secret = f"whsec_{base64.b64encode(key).decode()}"
    for number in range(3):
        outbox.put("event", {"number": number})
    with Webhook(receiver.url, outbox, secret=secret, report=said.append) as webhook:
        assert webhook.close(30) == 0
    numbers = [json.loads(body)["data"]["number"] for _, body in receiver.got]
    assert numbers == [0, 0, 0, 0, 1, 2]
    gaps = [later - now for now, later in zip(receiver.times, receiver.times[1:], strict=False)]
    assert gaps[0] >= 0.5
    assert gaps[1] >= 1.0  # twice as long
    assert len({headers["webhook-id"] for headers, _ in receiver.got[:4]}) == 1
    for headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert set(json.loads(body)) == {"type", "timestamp", "data"}
    assert [line.split("; ")[0] for line in said[:2]] == [
        f"{receiver.url} answered 500",
        f"{receiver.url} answered 503",
    ]


def test_nothing_is_lost_when_the_sender_ends(receiver: Any, outbox: Outbox) -> None:
    receiver.answers = [500] * 100
    for number in range(3):
        outbox.put("result", {"number": number})
    with Webhook(receiver.url, outbox) as webhook:
        wait_for(lambda: bool(receiver.got))
        assert webhook.close() == 3
    receiver.answers = []
    receiver.got.clear()
    with Webhook(receiver.url, outbox) as webhook:
        assert webhook.close(30) == 0
    assert [json.loads(body)["data"]["number"] for _, body in receiver.got] == [0, 1, 2]
    assert "webhook-signature" not in receiver.got[0][0]


def test_what_is_refused_for_good_does_not_hold_up_the_others(
    receiver: Any, outbox: Outbox
) -> None:
    receiver.answers = [400]
    outbox.put("result", {"number": 0}, "a page")
    outbox.put("result", {"number": 1}, "a page")
    with Webhook(receiver.url, outbox) as webhook:
        wait_for(lambda: len(receiver.got) == 2)
        wait_for(lambda: not outbox.waiting())
        assert webhook.close() == 1
    # What may be put twice has one id, and what was refused is tried again by the next.
    with Webhook(receiver.url, outbox) as webhook:
        assert webhook.close(30) == 0
    assert [json.loads(body)["data"]["number"] for _, body in receiver.got] == [0, 1, 0]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_it_waits_as_long_as_the_receiver_asks(receiver: Any, outbox: Outbox) -> None:
    receiver.answers = [429]
    receiver.headers = {"Retry-After": "1"}
    outbox.put("result", {})
    with Webhook(receiver.url, outbox) as webhook:
        assert webhook.close(30) == 0
    assert receiver.times[1] - receiver.times[0] >= 1.0


def test_one_that_does_not_answer_is_given_up_and_asked_again(
    receiver: Any, outbox: Outbox
) -> None:
    receiver.answers = ["hang"]
    said: list[str] = []
    outbox.put("result", {})
    with Webhook(receiver.url, outbox, timeout=0.3, report=said.append) as webhook:
        assert webhook.close(30) == 0
    assert "cannot be reached: timed out" in said[0]


def test_a_full_outbox_has_whoever_fills_it_wait(receiver: Any, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, limit=2)
    outbox.put("result", {"number": 0})
    outbox.put("result", {"number": 1})
    with Webhook(receiver.url, outbox) as webhook:
        outbox.put("result", {"number": 2})
        assert receiver.got
        assert webhook.close(30) == 0
    assert len(receiver.got) == 3


@pytest.mark.parametrize("url", ["ftp://host/x", "host", "http://", "http://[::1"])
def test_what_is_no_address_is_a_value_error(url: str, outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="webhook"):
        Webhook(url, outbox)
    with pytest.raises(ValueError, match="secret"):
        Webhook("http://localhost", outbox, secret="whsec_no base64!")
