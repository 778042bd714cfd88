"""Keys and roles, foreign pages, limits, and attempts to reach what is not theirs."""

import base64
import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import PIL.Image
import pytest

from platemark.apps.server.connection import JsonLines

from .conftest import Serve
from .test_marks import problem

READ, WRITE = "read-key-0123456789", "write-key-0123456789"


@pytest.fixture(scope="module")
def locked(serve: Serve) -> Any:
    """A client of a server with a key for reading and one for writing."""
    with serve(read_keys=READ, write_keys=WRITE) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/plates", "/v1/nothing", "/metrics", "/bounding-boxes"])
def test_without_a_key_nothing_is_told(locked: httpx.Client, path: str) -> None:
    answer = locked.get(path)
    problem(answer, 401, "unauthorized")
    assert "Bearer" in answer.headers["www-authenticate"]
    problem(locked.get(path, headers={"X-API-Key": READ[:-1]}), 401, "unauthorized")


def test_health_and_the_description_of_the_api_need_no_key(locked: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert locked.get(path).status_code == 200
    assert locked.get("/readyz?verify=1").status_code == 401


@pytest.mark.parametrize("key", [READ, WRITE])
@pytest.mark.parametrize("how", ["bearer", "header", "basic"])
def test_a_key_opens_the_door_however_it_comes(
    locked: httpx.Client, photo: bytes, key: str, how: str
) -> None:
    basic = base64.b64encode(f"anyone:{key}".encode()).decode()
    headers = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "header": {"X-API-Key": key},
        "basic": {"Authorization": f"Basic {basic}"},
    }[how]
    answer = locked.post("/v1/plates", files={"files": photo}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic //79", "Bearer", "Digest x", "Bearer " + "x" * 4000]
)
def test_odd_credentials_are_refused(locked: httpx.Client, header: str) -> None:
    problem(locked.get("/metrics", headers={"Authorization": header}), 401, "unauthorized")


def test_a_page_of_another_site_may_not_post(api: httpx.Client, photo: bytes) -> None:
    own = f"{api.base_url.host}:{api.base_url.port}"
    for origin, status in (
        ("http://evil.example", 403),
        ("null", 403),
        (f"http://{own}", 200),
    ):
        answer = api.post("/v1/plates", files={"files": photo}, headers={"Origin": origin})
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


def test_cors_is_for_the_origins_that_were_named(serve: Serve, photo: bytes) -> None:
    with serve(cors_origins="https://app.example") as client:
        ask = {"Access-Control-Request-Method": "POST"}
        for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
            before = client.options("/v1/plates", headers={"Origin": origin} | ask)
            assert (before.headers.get("access-control-allow-origin") == origin) is allowed
            after = client.post("/v1/plates", files={"files": photo}, headers={"Origin": origin})
            assert (after.status_code == 200) is allowed
            assert (after.headers.get("access-control-allow-origin") == origin) is allowed


def blank(size: tuple[int, int]) -> bytes:
    """An empty picture, PNG."""
    stream = io.BytesIO()
    PIL.Image.new("L", size).save(stream, "PNG")
    return stream.getvalue()


def test_limits_hold_for_each_file_and_each_request(
    serve: Serve, photo: bytes, document: bytes
) -> None:
    with serve(
        max_file_bytes=200_000,
        max_request_bytes=1_000_000,
        max_files=2,
        max_pixels=500_000,
        max_pages=2,
    ) as client:

        def codes(*files: bytes) -> list[str | None]:
            answer = client.post("/v1/plates", files=[("files", file) for file in files])
            return [one.get("error", {}).get("code") for one in answer.json()]

        assert codes(photo, photo + bytes(200_000)) == [None, "input_too_large"]
        assert codes(photo, blank((1_000, 600))) == [None, "input_too_large"]
        assert codes(photo, document) == [None, "input_too_large"]
        answer = client.post("/v1/plates", files=[("files", photo)] * 3)
        problem(answer, 422, "invalid_request")
        problem(client.post("/v1/plates", content=bytes(1_000_001)), 413, "input_too_large")

        def chunks() -> Any:
            yield from [bytes(100_000)] * 20

        problem(client.post("/v1/plates", content=chunks()), 413, "input_too_large")
        answer = client.post("/v1/annotated", files={"files": document})
        problem(answer, 413, "input_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/../../etc/passwd",
        "/static-offline-docs/../core.py",
        "/static-offline-docs/%2e%2e/core.py",
        "/static-offline-docs/..%2f..%2fplatemark/types.py",
        "/docs/../../../etc/passwd",
        "/v1/%2e%2e/%2e%2e/etc/passwd",
        "/static-offline-docs//etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/file=/etc/passwd",
    ],
)
def test_no_file_of_the_machine_is_reachable(api: httpx.Client, path: str) -> None:
    url = httpx.URL(f"{api.base_url}").copy_with(raw_path=path.encode())
    answer = api.get(url)
    assert answer.status_code in (404, 405)
    assert "root:" not in answer.text
    assert "import " not in answer.text


@pytest.fixture
def trap() -> Any:
    """An address that notes who asks it; nobody should."""
    asked: list[str] = []

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Note)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/secret", asked
    server.shutdown()


def test_no_address_is_fetched_and_no_path_opened(
    api: httpx.Client, trap: tuple[str, list[str]], tmp_path: Path, photo: bytes
) -> None:
    url, asked = trap
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photo)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}"/></svg>'.encode()
    for target in (url, str(secret), f"file://{secret}", f"@{secret}"):
        bodies: list[dict[str, Any]] = [
            {"files": {"files": (target, target.encode())}},
            {"files": {"files": (target, svg)}},
            {"content": target.encode(), "headers": {"Content-Type": "text/uri-list"}},
            {"json": {"files": [{"name": target, "data": target}]}},
            {
                "json": {
                    "files": [{"name": target, "data": base64.b64encode(target.encode()).decode()}]
                }
            },
        ]
        for body in bodies:
            answer = api.post("/v1/plates", params={"name": target}, **body)
            problem(answer, 400, "unreadable_image")
        for body in ({"json": {"files": [target]}}, {"json": {"url": target}}):
            assert api.post("/v1/plates", **body).status_code == 422
    assert asked == []


def test_every_answer_has_a_request_id_and_every_request_a_log_line(
    api: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("platemark.access")
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, "platemark.access")
    try:
        first = api.get("/healthz")
        second = api.get("/v1/nothing", headers={"X-Request-ID": "trace-1.2_3"})
        third = api.get("/healthz", headers={"X-Request-ID": 'a"} {"b'})
    finally:
        logger.removeHandler(caplog.handler)
    assert second.headers["x-request-id"] == "trace-1.2_3"
    assert len({first.headers["x-request-id"], third.headers["x-request-id"]}) == 2
    lines = {
        line["request_id"]: line
        for line in map(json.loads, map(JsonLines().format, caplog.records))
    }
    line = lines["trace-1.2_3"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/nothing", 404)
    assert line["ms"] >= 0
    assert first.headers["x-request-id"] in lines


def test_figures_count_requests_stages_marks_and_errors(
    serve: Serve, photo: bytes, letter: bytes
) -> None:
    with serve() as client:
        client.post("/v1/plates", files=[("files", photo), ("files", b"no picture")])
        client.post("/v1/stamps", files={"files": letter})
        client.get("/no/such/place")
        figures = client.get("/metrics").text
    for line in (
        'platemark_requests_total{method="POST",route="/v1/plates",status="200"} 1.0',
        'platemark_requests_total{method="GET",route="other",status="404"} 1.0',
        'platemark_errors_total{code="unreadable_image"} 1.0',
        'platemark_marks_total{kind="plate"} 1.0',
        'platemark_marks_total{kind="stamp"} 1.0',
        'platemark_stage_seconds_count{stage="plate_detect"} 1.0',
        'platemark_stage_seconds_count{stage="stamp_embed"} 1.0',
        "platemark_waiting 0.0",
    ):
        assert line in figures


def test_an_unexpected_error_is_a_problem_without_a_stack_trace(serve: Serve) -> None:
    def mount(app: Any, _: object) -> None:
        @app.get("/broken")
        async def broken() -> None:
            raise RuntimeError("a secret of the inside")

    with serve(mounts=(mount,)) as client:
        said = problem(client.get("/broken"), 500, "internal_error")
        assert "secret" not in str(said)
        assert client.get("/healthz").status_code == 200
