"""The command line that scripts of others rely on."""

import shlex

import pytest
import typer

from platemark.apps.cli import app

COMMANDS = {
    *("plates", "stamps", "batch", "watch", "compare", "redact", "registry", "serve"),
    *("synth", "train", "learn", "evaluate", "models", "bench", "dataset", "review"),
}
FORMS = """
platemark plates DIR --format jsonl
platemark plates DIR --workers 2
platemark stamps DIR --workers 2 --threads 1
platemark plates a.jpg b.pdf '*.png' @files.txt - --format csv --output plates.csv
platemark plates DIR --annotated OUT --crops OUT --min-score 0.4 --model DIR --threads 2 --quiet
platemark plates DIR --together
platemark plates DIR --region-of-interest 10,20,300,200 --watch-list plates.csv
platemark plates DIR --prewarp '100,120 220,160 224,200 96,150 ratio=4.64 lens=-0.2'
platemark plates DIR --together --expect AB12CD
platemark stamps DIR --region-of-interest mask.png
platemark stamps DIR --format jsonl --embedding
platemark stamps a.pdf b.tif --output stamps.csv --format csv --annotated OUT --crops OUT
platemark stamps a.pdf --min-score 0.4 --model DIR --threads 2 --quiet
platemark stamps a.pdf --similarity similar.csv --embeddings vectors.npz
platemark stamps DIR --registry stamps.db --format jsonl
platemark redact a.jpg b.pdf DIR --output OUT --kind plate --style blur
platemark redact a.pdf --output OUT --kind stamp --style pixelate --min-score 0.3 --quiet
platemark watch clip.mp4 --format jsonl
platemark watch rtsp://camera/gate --rate 5
platemark watch a.mp4 b.avi --output events.jsonl --annotated OUT --rate 5 --workers 2 --quiet
platemark watch DIR --output rows.csv --settle 2 --poll --stop-after 60 --state STATE
platemark watch DIR --kind stamp --registry stamps.db --read --webhook http://localhost/in
platemark watch 0 --webhook http://localhost/in --webhook-secret text
platemark batch DIR --output OUT --webhook http://localhost/in
platemark batch DIR --output OUT --engine ray --workers 4
platemark batch DIR '*.jpg' @files.txt shards.tar s3://bucket/photos --output OUT
platemark batch DIR --output OUT --engine local --kind stamps --workers 2 --format parquet --quiet
platemark batch DIR --output OUT --kind stamps --registry stamps.db --read --embedding
platemark registry add --registry stamps.db NAME a.png b.png
platemark registry add --registry stamps.db --tree DIR
platemark registry add --registry stamps.db --csv known.csv --duplicates refuse
platemark registry add --registry stamps.db NAME OTHER --document contract.pdf
platemark registry add --registry stamps.db NAME a.pdf --box 1,2,3,4 --page 0 --tag t --owner o
platemark registry identify --registry stamps.db a.png b.png --top-k 5 --format jsonl
platemark registry list --registry postgresql://host/stamps
platemark registry show --registry stamps.db NAME --pictures DIR
platemark registry remove --registry stamps.db NAME
platemark registry rename --registry stamps.db NAME OTHER
platemark registry edit --registry stamps.db NAME --notes text --tag t --owner o
platemark registry merge --registry stamps.db NAME OTHER
platemark registry split --registry stamps.db NAME OTHER --sample ID
platemark registry retire --registry stamps.db NAME --undo
platemark registry reindex --registry stamps.db --model DIR
platemark registry export --registry stamps.db stamps.zip
platemark registry import --registry stamps.db stamps.zip
platemark dataset convert SRC DST --from via --to coco
platemark dataset convert SRC DST --images DIR --transfer copy --kind stamp --label logo=stamp
platemark dataset convert SRC DST --split dev --only dev --skip-errors --regions ru,kz --quiet
platemark dataset split SRC DST --train 0.7 --dev 0.2 --by identity,text --seed 1 --to yolo
platemark dataset check DATASET --report r.html --formats DIR --no-duplicates --format json
platemark dataset show DATASET --output DIR --marks --count 9 --split dev --seed 1
platemark review DATASET --port 8010
platemark review DATASET --kind stamp --host 0.0.0.0 --port 0 --no-open --annotator anna
platemark review DATASET --open --model DIR --no-predict --threads 2 --quiet
platemark synth plates --output DIR --count 10 --seed 1 --fonts DIR --backgrounds DIR
platemark synth stamps --output DIR --count 10 --seed 1 --fonts DIR --backgrounds DIR
platemark synth stamps --output DIR --count 9 --kind imprints --near-copies 0.5 --no-masks
platemark train detector --kind plate --data a.jsonl b.jsonl --output DIR --minutes 5 --resume
platemark train reader --kind plate --data a.jsonl --data b.jsonl --output DIR --epochs 2
platemark train reader --kind plate --data a.jsonl --output DIR --device cuda
platemark train RECIPE.toml --set schedule.minutes=60 --set seed=1 --output DIR --attempts 3
platemark train reader --kind stamp --data a.jsonl --output DIR --start-from nothing
platemark evaluate plates m.jsonl --split test --model DIR --errors DIR --format json
platemark evaluate plates m.jsonl --format table
platemark evaluate stamps m.jsonl --split test --model DIR --errors DIR --format json
platemark train segmenter --kind stamp --data a.jsonl --output DIR --start-from DIR
platemark train embedder --kind stamp --data a.jsonl --output DIR --minutes 5 --segmenter DIR
platemark learn seal.png --output DIR --backgrounds DIR --minutes 10
platemark learn a.png b.png --output DIR --minutes 0 --seed 1 --composites 20 --format json --quiet
platemark learn page.jpg --box 10,20,110,120 --output DIR --threads 2
platemark stamps a.jpg b.jpg --model DIR --present
platemark models list
platemark models show plate-reader
platemark models verify
platemark models push DIR hf:me/reader --private
platemark bench
platemark serve --host 127.0.0.1 --port 8000 --registry stamps.db
platemark serve --workers 2 --threads 1 --no-web --config serve.toml --quiet
"""


def test_there_are_these_commands_and_no_stubs() -> None:
    command = typer.main.get_command(app)
    assert set(command.commands) == COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", FORMS.strip().splitlines())
def test_the_exact_forms_are_taken(form: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(form)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("platemark", words)


def test_several_manifests_may_follow_one_option() -> None:
    command = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    words = ["reader", "--data", "a.jsonl", "b.jsonl", "--output", "out", "--data", "c.jsonl"]
    given = command.make_context("train", words).params
    assert [path.name for path in (*given["data"], *given["more"])] == [
        "a.jsonl",
        "c.jsonl",
        "b.jsonl",
    ]
