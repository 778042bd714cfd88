"""Models in repositories: put there and fetched by the real client, from a hub on this machine."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from platemark.errors import ModelNotFound
from platemark.models.hub import is_hub_name, push_model, readme
from platemark.models.store import BUNDLED, locate_model

pytest.importorskip("huggingface_hub")
MODEL = BUNDLED / "plate-reader"


class Hub(ThreadingHTTPServer):
    """The part of the hub's API that publishing and fetching use."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        self.server.asked.append(path)
        if path == "/api/repos/create":
            told = json.loads(body)
            name = "/".join(filter(None, (told.get("organization"), told["name"])))
            name = name if "/" in name else f"me/{name}"
            self.server.repositories.setdefault(name, {})
            self._json({"url": f"{self.server.address}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            told = [{"path": f["path"], "uploadMode": "regular"} for f in files]
            self._json({"files": [{**f, "shouldIgnore": False} for f in told]})
        elif "/commit/" in path:
            name = "/".join(path.split("/")[3:5])
            for line in body.decode().splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    content = base64.b64decode(row["value"]["content"])
                    self.server.repositories[name][row["value"]["path"]] = content
            url = f"{self.server.address}/{name}/commit/{self._commit(name)}"
            self._json({"commitUrl": url, "commitOid": self._commit(name)})
        else:
            self._json({"error": f"unexpected {path}"}, 404)

    def do_GET(self) -> None:
        self._get(send=True)

    def do_HEAD(self) -> None:
        self._get(send=False)

    def _get(self, *, send: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = self.server.repositories.get(name)
        if files is None:
            self._json({"error": "Repository not found"}, 404, "RepoNotFound")
        elif parts[0] == "api" and "tree" in parts:
            rows = [
                {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for p, d in files.items()
            ]
            self._json(rows)
        elif parts[0] == "api":
            siblings = [{"rfilename": p} for p in files]
            self._json({"id": name, "sha": self._commit(name), "siblings": siblings})
        else:
            content = files.get("/".join(parts[4:]))
            if content is None:
                self._json({"error": "Entry not found"}, 404, "EntryNotFound")
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", self._commit(name))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if send:
                self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _commit(self, name: str) -> str:
        files = self.server.repositories[name]
        state = repr(sorted((p, hashlib.sha256(d).hexdigest()) for p, d in files.items()))
        return hashlib.sha1(state.encode()).hexdigest()

    def _json(self, answer: object, status: int = 200, code: str = "") -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that runs."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def run(hub: Hub, home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A command, with a cache and a hub of its own."""
    environment = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_secret",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "platemark", *map(str, words)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_model_is_published_fetched_and_kept(hub: Hub, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(MODEL, trained)
    (trained / "checkpoint.pt").write_bytes(b"not for others")
    home = tmp_path / "home"
    pushed = run(hub, home, "models", "push", trained, "hf:me/reader", "--private")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.startswith(f"{hub.address}/me/reader/commit/")
    stored = hub.repositories["me/reader"]
    card = locate_model(MODEL).card
    assert set(stored) == {"README.md", "card.json", *card.files}
    assert stored["model.onnx"] == (MODEL / "model.onnx").read_bytes()
    page = stored["README.md"].decode()
    assert "license: apache-2.0" in page
    assert 'pm.PlatePipeline.from_pretrained("me/reader")' in page
    shown = run(hub, home, "models", "show", "hf:me/reader", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["version"] == card.version
    verified = run(hub, home, "models", "verify", "me/reader")
    assert verified.returncode == 0, verified.stderr
    # The cache has it: what is fetched again is only which commit is the latest.
    hub.asked.clear()
    assert run(hub, home, "models", "verify", "hf:me/reader").returncode == 0
    assert not [path for path in hub.asked if path.endswith("model.onnx")]
    # A file that differs from the card is refused.
    stored["model.onnx"] = stored["model.onnx"][:-1] + b"!"
    changed = run(hub, tmp_path / "other", "models", "verify", "hf:me/reader")
    assert changed.returncode == 1
    assert "sha256" in changed.stderr
    missing = run(hub, home, "models", "show", "hf:me/nothing")
    assert missing.returncode == 2
    assert "there is no such model" in missing.stderr


def test_what_is_no_model_folder_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"has no card.json"):
        push_model(tmp_path, "hf:me/reader")
    with pytest.raises(ModelNotFound, match="expected hf:USER/NAME"):
        push_model(tmp_path, "hf:reader")


def test_the_front_page_names_the_models_and_their_figures() -> None:
    cards = {f"{name}/": locate_model(name).card for name in ("plate-detector", "plate-reader")}
    page = readme("me/plates", cards)
    assert "tags: [detector, onnx, plate, reader]" in page
    assert page.count("\n| ") == 2 + sum(len(card.metrics) for card in cards.values())


@pytest.mark.parametrize(
    ("name", "hub"),
    [
        ("hf:me/reader", True),
        ("me/reader", True),
        ("me/reader@v1.0", True),
        ("plate-reader", False),
        ("runs/there", False),  # its folder is there
        ("me/reader.onnx", False),
        ("/absolute/path", False),
        ("a/b/c", False),
    ],
)
def test_what_names_a_repository(
    name: str, hub: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert is_hub_name(name) is hub
