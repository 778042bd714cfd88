"""What serving over HTTP costs, and what the server does under too much load and bad input.

    python benchmarks/serve.py start       from the start of the process to the first ready answer
    python benchmarks/serve.py throughput  8 clients over HTTP and on the pipeline called directly,
                                           and latency at 70% of that load
    python benchmarks/serve.py overload    5 times as many requests as can be done
    python benchmarks/serve.py malformed   1,000 broken files and requests: 5xx, memory, open files
    python benchmarks/serve.py batching    whether runs of several pictures at once are quicker

Everything is on this machine: server, clients and the direct calls share its cores, so a figure is
to be read beside those of the same run. Processor time per photo hardly depends on what else the
machine does; photos per second do. Results are printed as JSON.
"""

import argparse
import http.client
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import platemark as pm
from platemark.tasks.detector import Detector
from platemark.tasks.embedder import Embedder
from platemark.tasks.plate_reader import PlateReader
from platemark.tasks.segmenter import Segmenter

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = [path.read_bytes() for path in sorted((EXAMPLES / "photos").glob("*.jpg"))]
CLIENTS = 8
CORES = len(os.sched_getaffinity(0))

Report = dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A server process and where it listens."""

    process: "subprocess.Popen[str]"
    host: str
    port: int

    def post(self, body: bytes, path: str = "/v1/plates", kind: str = "image/jpeg") -> int:
        """Send one request on a connection of its own; the status, or 0 without an answer."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            line.request("POST", path, body, {"Content-Type": kind})
            answer = line.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            line.close()

    @property
    def memory_mb(self) -> float:
        """Resident memory in 10^6 bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Processor time it has taken, its own and the system's for it."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def open_files(self) -> int:
        """Open files and connections."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


@contextmanager
def server(**settings: object) -> Iterator[Server]:
    """Run ``platemark serve`` with its defaults on a free port."""
    own = {f"PLATEMARK_{key.upper()}": str(value) for key, value in settings.items()}
    environment = os.environ | {"PLATEMARK_REGISTRY": "", "PLATEMARK_LOG_LEVEL": "warning"} | own
    command = [sys.executable, "-m", "platemark", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "serves on" in line)
            match = re.search(r"http://([\d.]+):(\d+)", line)
            assert match is not None
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Server(process, match[1], int(match[2]))
        finally:
            process.terminate()
            process.wait(60)


def start(rounds: int) -> Report:
    """From the start of the process to the first ready answer."""
    seconds, cpu = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        with server() as running:
            line = http.client.HTTPConnection(running.host, running.port)
            line.request("GET", "/readyz")
            assert line.getresponse().status == 200
            seconds.append(time.perf_counter() - begin)
            cpu.append(running.cpu_seconds)
    return {"seconds": rounded(seconds), "of_them_cpu_seconds": rounded(cpu)}


def throughput(seconds: float, rounds: int) -> Report:
    """Photos per second over HTTP and directly, in turns; then latency at 70% of the load."""
    cv2.setNumThreads(1)
    pipeline = pm.PlatePipeline.from_pretrained(threads=1)
    direct, over_http, cpu = [], [], []
    with server() as running:
        for _ in range(rounds):
            before, start = time.process_time(), time.perf_counter()
            direct.append(busy(lambda photo: pipeline(photo).to_dict(), seconds))
            own = (time.process_time() - before) / direct[-1] / (time.perf_counter() - start)
            before, start = running.cpu_seconds, time.perf_counter()
            over_http.append(busy(keeping_alive(running), seconds))
            theirs = (running.cpu_seconds - before) / over_http[-1] / (time.perf_counter() - start)
            cpu.append((own * 1e3, theirs * 1e3))
        rate = statistics.median(over_http)
        latencies, statuses, _ = paced(running, 0.7 * rate, 3 * seconds)
    p50, p99 = np.percentile(latencies, [50, 99])
    return {
        "photos_per_second_directly": rounded(direct),
        "photos_per_second_over_http": rounded(over_http),
        "ratio": round(rate / statistics.median(direct), 3),
        "cpu_ms_per_photo_directly": rounded([own for own, _ in cpu], 1),
        "cpu_ms_per_photo_over_http": rounded([theirs for _, theirs in cpu], 1),
        "at_70_percent": {
            "p50_ms": round(p50 * 1e3, 1),
            "p99_ms": round(p99 * 1e3, 1),
            "p99_to_p50": round(p99 / p50, 2),
            "statuses": statuses,
        },
    }


def busy(work: Callable[[bytes], object], seconds: float) -> float:
    """Photos per second when some threads do one after the other."""
    end = time.perf_counter() + seconds

    def client(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            work(PHOTOS[(number + done) % len(PHOTOS)])
            done += 1
        return done

    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = sum(pool.map(client, range(CLIENTS)))
    return done / (time.perf_counter() - begin)


def keeping_alive(running: Server) -> Callable[[bytes], object]:
    """Send photos, each thread over a connection of its own."""
    own = threading.local()

    def send(photo: bytes) -> None:
        if not hasattr(own, "line"):
            own.line = http.client.HTTPConnection(running.host, running.port, timeout=120)
        own.line.request("POST", "/v1/plates", photo, {"Content-Type": "image/jpeg"})
        answer = own.line.getresponse()
        json.loads(answer.read())
        assert answer.status == 200

    return send


def paced(
    running: Server, per_second: float, seconds: float, seed: int = 1
) -> tuple[list[float], dict[str, int], list[float]]:
    """Send photos at random times, whether or not earlier ones are answered (Poisson arrivals).

    Returns:
        Latencies in seconds of those answered 200, how often which status, and memory meanwhile.
    """
    rng = random.Random(seed)
    times, moment = [], 0.0
    while (moment := moment + rng.expovariate(per_second)) < seconds:
        times.append(moment)
    begin = time.perf_counter()
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    memory: list[float] = []

    def one(number: int) -> None:
        status = running.post(PHOTOS[number % len(PHOTOS)])
        statuses[str(status)] += 1
        if status == 200:
            latencies.append(time.perf_counter() - begin - times[number])

    with ThreadPoolExecutor(256) as pool:
        for number, due in enumerate(times):
            time.sleep(max(0.0, begin + due - time.perf_counter()))
            pool.submit(one, number)
            if len(memory) < (time.perf_counter() - begin) / 2:
                memory.append(running.memory_mb)
    return latencies, dict(statuses), memory


def overload(seconds: float) -> Report:
    """Five times as many requests as can be done; then one, to see that it is answered at once."""
    with server() as running:
        rate = busy(keeping_alive(running), 5)
        before = running.memory_mb
        latencies, statuses, memory = paced(running, 5 * rate, seconds)
        begin = time.perf_counter()
        status = running.post(PHOTOS[0])
        recovery = time.perf_counter() - begin
        return {
            "capacity_per_second": round(rate, 1),
            "sent_per_second": round(5 * rate, 1),
            "seconds": seconds,
            "statuses": statuses,
            "answered_per_second": round(len(latencies) / seconds, 1),
            "p99_ms_of_answered": round(float(np.percentile(latencies, 99)) * 1e3),
            "memory_mb": {"before": round(before), "during": rounded(memory, 0)},
            "first_request_after": {"status": status, "ms": round(recovery * 1e3, 1)},
        }


def malformed(count: int) -> Report:
    """Broken files and requests in quarters; memory and open files may not grow with each."""
    rng = random.Random(2)
    statuses: Counter[int] = Counter()
    marks = []
    with server() as running:
        for photo in PHOTOS:
            running.post(photo)
        for _ in range(4):
            with ThreadPoolExecutor(4) as pool:
                requests = [broken_request(rng) for _ in range(count // 4)]
                for status in pool.map(lambda one: running.post(*one), requests):
                    statuses[status] += 1
            marks.append(
                {"memory_mb": round(running.memory_mb, 1), "open_files": running.open_files}
            )
        alive = running.post(PHOTOS[0])
    return {
        "requests": count,
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "answered_5xx": sum(n for status, n in statuses.items() if status >= 500),
        "after_each_quarter": marks,
        "a_good_request_after": alive,
    }


ROUTES = ("/v1/plates", "/v1/stamps", "/v1/annotated", "/v1/embeddings", "/v1/segment")
KINDS = ("image/jpeg", "application/pdf", "application/json", "multipart/form-data; boundary=x", "")


def broken_request(rng: random.Random) -> tuple[bytes, str, str]:
    """A body that is no sound file, a route, and a type that may not fit."""
    body = broken_file(rng)
    if rng.random() < 0.3:
        head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        return head + body + b"\r\n--x--\r\n", rng.choice(ROUTES), KINDS[3]
    return body, rng.choice(ROUTES), rng.choice(KINDS)


def broken_file(rng: random.Random) -> bytes:
    """A photo or document cut off, with bytes changed, or something else altogether."""
    files = [*PHOTOS, *HEADS]
    data = bytearray(rng.choice(files))
    match rng.randrange(4):
        case 0:
            return bytes(data[: rng.randrange(len(data))])
        case 1:
            for _ in range(rng.randrange(1, 50)):
                data[rng.randrange(min(len(data), 2000))] = rng.randrange(256)
            return bytes(data)
        case 2:
            return rng.choice(HEADS) + rng.randbytes(rng.randrange(5000))
    return rng.randbytes(rng.randrange(2000))


HEADS = (
    b"%PDF-1.7\n1 0 obj\n<< /Pages 1 0 R >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x02\0\0\0",
    b"II*\0\x08\0\0\0\xff\xff",
    b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    b"BM\xff\xff\xff\x7f\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"\0\0\0\x18ftypheic\0\0\0\0",
    b"GIF89a",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b'{"files": [{"name": "a", "data": "AAAA"}]}',
)


def batching(rounds: int) -> Report:
    """Milliseconds per picture of each network, run on 1 to 8 pictures at once."""
    rng = np.random.default_rng(3)
    report: Report = {}
    for threads in dict.fromkeys((1, CORES)):
        plates, reader = (
            Detector.from_pretrained(threads=threads),
            PlateReader.from_pretrained(threads=threads),
        )
        stamps = Detector.from_pretrained(kind="stamp", threads=threads)
        segmenter = Segmenter.from_pretrained(threads=threads)
        embedder = Embedder.from_pretrained(threads=threads)
        networks = (
            (plates.model, "images", (480, 640, 3)),
            (stamps.model, "images", (768, 544, 3)),
            (reader.model, "crops", reader.crop_size[::-1]),
            (segmenter.model, "crops", (segmenter.model.card.preprocess.side,) * 2 + (3,)),  # type: ignore[union-attr]
            (embedder.model, "ink", (embedder.model.card.preprocess.side,) * 2),  # type: ignore[union-attr]
        )
        report[f"threads {threads}"] = {
            model.card.name: {
                n: round(milliseconds(model.run, name, (n, *shape), rng, rounds) / n, 2)
                for n in (1, 2, 4, 8)
            }
            for model, name, shape in networks
        }
    return report


def milliseconds(
    run: Callable[..., object],
    name: str,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    rounds: int,
) -> float:
    """Median time of one run on noise."""
    values = rng.integers(0, 256, shape, dtype=np.uint8)
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        run(**{name: values})
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:]) * 1e3


def rounded(values: Sequence[float], digits: int = 2) -> list[float]:
    """Values as they are printed."""
    return [round(value, digits) for value in values]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "what", choices=["start", "throughput", "overload", "malformed", "batching"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    work: dict[str, Callable[[], Report]] = {
        "start": lambda: start(arguments.rounds),
        "throughput": lambda: throughput(arguments.seconds, arguments.rounds),
        "overload": lambda: overload(arguments.seconds),
        "malformed": lambda: malformed(arguments.count),
        "batching": lambda: batching(arguments.rounds),
    }
    load = os.getloadavg()[0]
    report = {"cores": CORES, "load_before": round(load, 1)} | work[arguments.what]()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
