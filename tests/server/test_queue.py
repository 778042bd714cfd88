"""Too much to do, too long, gone clients, and the end of the server."""

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from platemark.apps.metrics import Metrics
from platemark.apps.services import Services
from platemark.apps.settings import Settings
from platemark.apps.work import WorkQueue
from platemark.errors import Overloaded
from platemark.imaging.image import Image, ImageInput
from platemark.plates.pipeline import PlatePipeline
from platemark.registry import Registry
from platemark.registry.sqlite import SqliteStore
from platemark.types import Detection

from .conftest import PATIENCE, PHOTO, serving


class Gate:
    """A detector that lets no picture through until it is opened, and counts those that came."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.came = threading.Semaphore(0)
        self.count = 0

    def __call__(self, image: ImageInput) -> list[Detection]:
        assert isinstance(image, Image)
        self.count += 1
        self.came.release()
        assert self.open.wait(PATIENCE)
        return []

    def wait_for(self, pictures: int) -> None:
        for _ in range(pictures):
            assert self.came.acquire(timeout=PATIENCE)


@pytest.fixture
def gated(models: Any) -> Iterator[Callable[..., tuple[Gate, Services]]]:
    """Make services whose plate detector is a gate."""
    gates: list[Gate] = []

    def make(**settings: Any) -> tuple[Gate, Services]:
        gate = Gate()
        gates.append(gate)
        plates = PlatePipeline(gate, models.plates.reader)  # type: ignore[arg-type]
        patient = Settings(**{"request_seconds": PATIENCE} | settings)
        return gate, Services(patient, plates, models.stamps)

    yield make
    for gate in gates:
        gate.open.set()


def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.005)


def connected(client: httpx.Client) -> socket.socket:
    """A connection of its own to the server of a client."""
    assert client.base_url.port
    return socket.create_connection((client.base_url.host, client.base_url.port), PATIENCE)


def post(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/plates", files={"files": PHOTO.read_bytes()})


def test_beyond_the_places_requests_are_refused_and_later_taken_again(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    gate, services = gated(workers=1, max_in_flight=3)
    with serving(services) as client, ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(post, client) for _ in range(3)]
        until(lambda: services.work.taken == 3)
        refused = post(client)
        assert refused.status_code == 429
        assert refused.json()["code"] == "overloaded"
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        figures = client.get("/metrics").text
        assert "platemark_in_flight 3.0" in figures
        assert "platemark_refused_total 1.0" in figures
        gate.open.set()
        assert [future.result().status_code for future in taken] == [200] * 3
        until(lambda: services.work.taken == 0)
        assert post(client).status_code == 200
        assert "platemark_in_flight 0.0" in client.get("/metrics").text


def test_a_refused_upload_is_read_to_its_end_so_that_the_answer_arrives(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    gate, services = gated(workers=1, max_in_flight=1)
    with serving(services) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client)
        gate.wait_for(1)
        for _ in range(5):
            answer = client.post("/v1/plates", files={"files": bytes(8_000_000)})
            assert answer.status_code == 429
        gate.open.set()
        assert first.result().status_code == 200


def test_a_request_that_takes_too_long_is_answered_503(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    gate, services = gated(workers=1, request_seconds=0.3)
    with serving(services) as client:
        answer = post(client)
        assert (answer.status_code, answer.json()["code"]) == (503, "timed_out")
        gate.open.set()
        until(lambda: services.work.taken == 0)


def test_a_body_that_does_not_come_is_not_waited_for(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    _, services = gated(request_seconds=0.3)
    with serving(services) as client:
        with connected(client) as line:
            line.sendall(
                b"POST /v1/plates HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                b"Content-Length: 1000\r\n\r\nabc"
            )
            assert b" 503 " in line.recv(1000)
        until(lambda: services.work.taken == 0)


def test_work_for_a_client_that_left_is_not_begun(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    gate, services = gated(workers=1, max_in_flight=8)
    with serving(services) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, client)
        gate.wait_for(1)
        with connected(client) as line:
            photo = PHOTO.read_bytes()
            head = b"POST /v1/plates HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            line.sendall(head + b"Content-Length: %d\r\n\r\n" % len(photo) + photo)
            until(lambda: "platemark_waiting 1.0" in client.get("/metrics").text)
        until(lambda: services.work.taken == 1)
        gate.open.set()
        assert first.result().status_code == 200
        until(lambda: services.work.taken == 0)
        assert gate.count == 1
        assert "platemark_waiting 0.0" in client.get("/metrics").text


def test_a_client_that_leaves_while_it_sends_is_no_error(
    gated: Callable[..., tuple[Gate, Services]], caplog: pytest.LogCaptureFixture
) -> None:
    _, services = gated()
    kinds = (b"image/png", b"application/json", b"multipart/form-data; boundary=x")
    logging.getLogger("platemark.server").addHandler(caplog.handler)
    with serving(services) as client:
        for kind in kinds:
            with connected(client) as line:
                head = b"POST /v1/plates HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind
                line.sendall(head + b"\r\nContent-Length: 1000\r\n\r\n--x\r\n")
                until(lambda: services.work.taken == 1)
            until(lambda: services.work.taken == 0)
    assert caplog.records == []


def test_a_page_of_another_request_goes_between_those_of_a_document(
    gated: Callable[..., tuple[Gate, Services]], document: bytes
) -> None:
    gate, services = gated(workers=1)
    with serving(services) as client, ThreadPoolExecutor(2) as pool:
        long = pool.submit(client.post, "/v1/plates", files={"files": document})
        gate.wait_for(1)
        short = pool.submit(post, client)
        until(lambda: "platemark_waiting 1.0" in client.get("/metrics").text)
        gate.open.set()
        short.result()
        assert short.result().status_code == 200
        assert len(long.result().json()) == 3


def test_requests_in_flight_are_answered_when_the_server_stops(
    gated: Callable[..., tuple[Gate, Services]],
) -> None:
    gate, services = gated(workers=1)
    with ThreadPoolExecutor(2) as pool, httpx.Client(timeout=PATIENCE) as own, ExitStack() as stack:
        own.base_url = stack.enter_context(serving(services)).base_url
        answers = [pool.submit(post, own) for _ in range(2)]
        until(lambda: services.work.taken == 2)
        # The server is told to stop first, and the pictures get through only then.
        threading.Timer(0.3, gate.open.set).start()
        stack.close()
        assert [answer.result().status_code for answer in answers] == [200, 200]


def test_the_queue_keeps_count_when_work_fails_or_is_dropped() -> None:
    figures = Metrics()
    queue = WorkQueue(1, 2, figures)
    with queue.admit(), queue.admit():
        with pytest.raises(Overloaded) as refused, queue.admit():
            pass
        assert refused.value.retry_after >= 1
    with pytest.raises(ZeroDivisionError):
        queue.call(lambda: 1 // 0)
    hold, began = threading.Event(), threading.Event()

    async def leave() -> None:
        first = asyncio.create_task(queue.run(lambda: (began.set(), hold.wait(PATIENCE))))
        await asyncio.to_thread(began.wait, PATIENCE)
        second = asyncio.create_task(queue.run(lambda: pytest.fail("dropped work was done")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        hold.set()
        await first

    asyncio.run(leave())
    assert queue.call(lambda: "still works") == "still works"
    assert queue.taken == 0
    assert b"platemark_waiting 0.0" in figures.render()
    queue.close()


def test_a_piece_that_waits_for_others_has_a_substitute_meanwhile() -> None:
    queue = WorkQueue(1, 8, Metrics())
    there, back = threading.Barrier(3), threading.Event()

    def wait() -> str:
        with queue.aside():
            there.wait(PATIENCE)
            assert back.wait(PATIENCE)
        return "waited"

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(queue.call, wait) for _ in range(2)]
        there.wait(PATIENCE)  # both wait at once, though there is one worker
        assert queue.call(lambda: "done") == "done"
        back.set()
        assert [one.result(PATIENCE) for one in waiting] == ["waited"] * 2
    # Afterwards there is one worker again: of two pieces one is not begun before the other ends.
    began = threading.Semaphore(0)
    hold = threading.Event()

    def hold_worker() -> None:
        began.release()
        assert hold.wait(PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        until(lambda: len(queue._threads) == 1)
        held = [pool.submit(queue.call, hold_worker) for _ in range(2)]
        assert began.acquire(timeout=PATIENCE)
        assert not began.acquire(timeout=0.2)
        hold.set()
        for one in held:
            one.result(PATIENCE)
    with queue.aside():  # this thread is no worker, so none is missing
        assert len(queue._threads) == 1
    queue.close()


def test_requests_are_answered_while_others_wait_to_write(
    models: Any,
    letter: bytes,
    tmp_path: Path,
    held_file: Callable[[str], AbstractContextManager[Callable[[], None]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SqliteStore, "WAIT_S", 2 * PATIENCE)  # however slow the machine is
    waits = threading.Semaphore(0)
    run = SqliteStore._run

    def seen(store: Any, connection: Any, sql: str, values: Any) -> Any:
        if sql == "BEGIN IMMEDIATE":
            waits.release()
        return run(store, connection, sql, values)

    with Registry.open(tmp_path / "stamps.db") as registry:
        registry.add("known", models.stamps(letter).marks[0])
    registry = Registry.open(tmp_path / "stamps.db")
    settings = Settings(workers=1, request_seconds=PATIENCE)
    services = Services(settings, models.plates, models.stamps, registry)
    files = {"files": letter}
    route = "/v1/registry/designs"
    with serving(services) as client, ThreadPoolExecutor(3) as pool:
        (design,) = client.get(route).json()
        with held_file(str(tmp_path / "stamps.db")) as commit:
            monkeypatch.setattr(SqliteStore, "_run", seen)
            about = {"name": "known"}
            adds = [pool.submit(client.post, route, data=about, files=files) for _ in range(2)]
            adds.append(pool.submit(client.patch, f"{route}/known", json={"notes": "n"}))
            for _ in adds:
                assert waits.acquire(timeout=PATIENCE)
            assert client.get(route).json() == [design]
            assert client.get(f"{route}/known").json()["name"] == "known"
            assert client.get("/readyz").json() == {"status": "ready"}
            (page,) = client.post("/v1/stamps", files=files).json()
            assert page["marks"][0]["identity"]["name"] == "known"
            assert not any(one.done() for one in adds)
            commit()
        assert [one.result(PATIENCE).status_code for one in adds] == [200] * 3
        assert client.get(f"{route}/known").json()["notes"] == "n"


@pytest.fixture
def process() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start ``platemark serve`` as a process, and say where it listens."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "platemark", "serve", "--port", "0", *options]
        environment = {"PLATEMARK_REGISTRY": ""} | environment
        child = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | environment
        )
        started.append(child)
        assert child.stderr is not None
        for line in child.stderr:
            if match := re.search(r"serves on (http://\S+),", line):
                return child, match[1]
        raise AssertionError("the server did not start")

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_the_command_serves_and_stops_on_sigterm(
    process: Callable[..., tuple[subprocess.Popen[str], str]],
) -> None:
    child, url = process("--workers", "1", PLATEMARK_MAX_FILES="2")
    with httpx.Client(base_url=url, timeout=PATIENCE) as client, ThreadPoolExecutor(1) as pool:
        assert client.get("/readyz").json() == {"status": "ready"}
        too_many = client.post("/v1/plates", files=[("files", b"x")] * 3)
        assert too_many.status_code == 422
        photo = PHOTO.read_bytes()
        answer = pool.submit(client.post, "/v1/plates", files=[("files", photo)] * 2)
        # In flight: the figures say so before the process is told to stop.
        until(lambda: "platemark_in_flight 1.0" in httpx.get(f"{url}/metrics").text)
        child.send_signal(signal.SIGTERM)
        assert len(answer.result().json()) == 2
    child.communicate(timeout=PATIENCE)
    assert child.returncode in (0, -signal.SIGTERM)


def test_a_port_that_is_taken_is_an_error_before_any_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "platemark", "serve", "--port", port],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
