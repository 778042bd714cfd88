"""From trained weights to a model folder: ONNX with the decoding inside, its card, a parity check.

Batch normalisation is folded by the runtime; pictures go in as bytes, so that no caller repeats the
scaling.
"""

import hashlib
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.models.card import (
    CARD_NAME,
    MODEL_NAME,
    ClassifierDecode,
    CoarseLooks,
    DetectorDecode,
    DetectorPreprocess,
    EmbedderPreprocess,
    FileEntry,
    ModelCard,
    PlateOdds,
    ReaderDecode,
    ReaderPreprocess,
    Refine,
    SecondLook,
    SegmenterPreprocess,
    StripPreprocess,
    VerifierDecode,
)
from platemark.models.onnx import OnnxModel
from platemark.models.store import find_model
from platemark.stamps.baselines import CAPITAL, MARGIN, STRIP_HEIGHT
from platemark.tasks.scripts import ALPHABET as STRIP_ALPHABET
from platemark.train import embedder, plate_classifier, reader, segmenter, verifier
from platemark.train.loop import best_weights
from platemark.train.nets.comparer import PLANES, STRIDE
from platemark.train.pairs import SPEC
from platemark.types import ORIENTATIONS

KEPT = 100
"""Cells that a detector's graph returns, best first, before non-maximum suppression."""

_OPSET = 20
_PARITY, _HALVED_PARITY = 2e-3, 3e-2
# Weights of this many numbers are worth storing as float16, and what their cast is called.
_LARGE_WEIGHT = 512
_WIDENED = ".float32"


class DetectorGraph(nn.Module):
    """A detector with its pre- and post-processing: bytes in, the best cells out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, H, W, 3) uint8 to boxes (N, K, 4), quads (N, K, 4, 2), scores (N, K), best first."""
        found = self.net(images.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
        # Small pictures have fewer cells than K: empty ones with score 0 fill up.
        filler = torch.full_like(found.logits[:, :1], -20.0).expand(-1, KEPT)
        logits = torch.cat([found.logits, filler], dim=1)
        best, cells = logits.topk(KEPT, dim=1)
        coordinates = torch.cat([found.boxes, found.quads.flatten(2)], dim=2)
        padded = torch.cat(
            [coordinates, torch.zeros_like(coordinates[:, :1]).expand(-1, KEPT, -1)], dim=1
        )
        chosen = padded.gather(1, cells[..., None].expand(-1, -1, 12))
        return chosen[..., :4], torch.unflatten(chosen[..., 4:], -1, (4, 2)), best.sigmoid()


class ReaderGraph(nn.Module):
    """A reader with its scaling: grey bytes in, CTC log-probabilities out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> Tensor:
        """(N, H, W) uint8 to (N, T, C) float32."""
        log_probs: Tensor = self.net(crops.float().unsqueeze(1) / 127.5 - 1.0)
        return log_probs


class ClassifierGraph(nn.Module):
    """A classifier of plates with its scaling: colour bytes in, log-probabilities out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, H, W, 3) uint8 to (N, R), (N, L), (N, O) and (N,) float32."""
        said = self.net(crops.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
        several = (said.regions, said.lines, said.orientations)
        regions, lines, orientations = (logits.log_softmax(-1) for logits in several)
        return regions, lines, orientations, said.obscured


class SegmenterGraph(nn.Module):
    """A segmenter with its scaling: colour bytes in, probabilities of ink out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, S, S) float32."""
        logits: Tensor = self.net(crops.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
        return logits.sigmoid()


class VerifierGraph(nn.Module):
    """A verifier with its scaling: colour bytes in, log-odds of a stamp out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N,) float32."""
        odds: Tensor = self.net(crops.permute(0, 3, 1, 2).float() / 127.5 - 1.0)
        return odds


class EmbedderGraph(nn.Module):
    """An embedder with its scaling: bytes of ink in, unit vectors out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, ink: Tensor) -> Tensor:
        """(N, S, S) uint8 to (N, D) float32 of unit length."""
        vectors: Tensor = self.net(ink.float().unsqueeze(1) / 255.0)
        return vectors


class ComparerGraph(nn.Module):
    """A comparer with its scaling: bytes in, probabilities of one stamp and of differences out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """(N, H, W, 6) uint8 to (N,) and (N, H / 4, W / 4) float32."""
        odds, differs = self.net(pairs.permute(0, 3, 1, 2).float() / 255.0)
        return odds.sigmoid(), differs.sigmoid()


_DETECTORS: dict[str, dict[str, Any]] = {
    "plate": {
        "preprocess": DetectorPreprocess(
            long_side=512,
            max_upscale=3.0,
            second_look=SecondLook(below_score=0.3, from_score=0.02),
            coarse_looks=CoarseLooks(long_sides=(128,), margin=0.5, from_share=0.5),
            refine=Refine(
                from_score=0.04,
                below_score=0.8,
                below_width=60.0,
                width=64.0,
                from_ratio=1.3,
                limit=4,
            ),
        ),
        "thresholds": {"min_score": 0.1},
        # That of plate-detector 1.1.1, until `evaluate plates --calibrate` fits its own.
        "gate": PlateOdds(bias=0.86, detector=1.09, text=0.67, lettering=-2.4),
    },
    "stamp": {
        "preprocess": DetectorPreprocess(
            long_side=832, max_upscale=2.0, coarse_looks=CoarseLooks(long_sides=(320, 160))
        ),
        "thresholds": {"min_score": 0.3, "sure_score": 0.7, "least_contrast": 30.0},
    },
}


def export_detector(
    net: nn.Module, folder: Path, training: Mapping[str, Any], kind: str = "plate"
) -> ModelCard:
    """Write a detector's model folder.

    Args:
        net: trained weights, in evaluation mode.
        folder: made if missing.
        training: what the card says of the training: command, data, seed and so on.
        kind: the marks that it finds.

    Raises:
        RuntimeError: the exported graph disagrees with the network.
    """
    # Two pictures: an example of one would fix the batch at one.
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 96, 160, 3), np.uint8))
    batch, height, width = torch.export.Dim("N"), torch.export.Dim("H32"), torch.export.Dim("W32")
    card = _card_base(kind, "detector", training) | {
        "inputs": {"images": "uint8 (N, H, W, 3) RGB, H and W multiples of 32"},
        "outputs": {
            "boxes": f"float32 (N, {KEPT}, 4) x0 y0 x1 y1 in input pixels",
            "quads": f"float32 (N, {KEPT}, 4, 2) corners, clockwise from the mark's own top-left",
            "scores": f"float32 (N, {KEPT}) descending, before non-maximum suppression",
        },
        "decode": DetectorDecode(),
        "classes": (kind,),
        **_DETECTORS[kind],
    }
    return _write(
        DetectorGraph(net).eval(),
        images,
        ["boxes", "quads", "scores"],
        {0: batch, 1: 32 * height, 2: 32 * width},
        folder,
        card,
    )


def export_reader(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a plate reader's model folder; see :func:`export_detector`."""
    shape = (2, reader.HEIGHT, reader.WIDTH)
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    card = _card_base("plate", "reader", training) | {
        "inputs": {"crops": f"uint8 (N, {reader.HEIGHT}, {reader.WIDTH}) grey"},
        "outputs": {"log_probs": f"float32 (N, T, {len(reader.ALPHABET) + 1}), class 0 the blank"},
        "preprocess": ReaderPreprocess(
            height=reader.HEIGHT, width=reader.WIDTH, margin=reader.MARGIN
        ),
        "decode": ReaderDecode(alphabet=reader.ALPHABET),
        "thresholds": {"sure_score": 0.96, "legible_text": 0.085},
    }
    return _write(
        ReaderGraph(net).eval(), crops, ["log_probs"], {0: torch.export.Dim("N")}, folder, card
    )


def export_classifier(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a plate classifier's model folder, its weights as float16; see `export_verifier`."""
    spec, codes = plate_classifier.SPEC, plate_classifier.region_codes()
    shape = (2, spec.height, spec.width, 3)
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    lines = ", ".join(map(str, plate_classifier.LINES))
    card = _card_base("plate", "classifier", training) | {
        "inputs": {"crops": f"uint8 (N, {spec.height}, {spec.width}, 3) RGB"},
        "outputs": {
            "regions": f"float32 (N, {len(codes)}) log-probabilities",
            "lines": f"float32 (N, {len(plate_classifier.LINES)}) of {lines} lines",
            "orientations": f"float32 (N, {len(ORIENTATIONS)}) of {', '.join(ORIENTATIONS)}",
            "obscured": "float32 (N,) log-odds that a part of the text is hidden",
        },
        "preprocess": spec,
        "decode": ClassifierDecode(regions=codes),
        "thresholds": {"obscured": 0.5},
    }
    return _write(
        ClassifierGraph(net).eval(),
        crops,
        ["regions", "lines", "orientations", "obscured"],
        {0: torch.export.Dim("N")},
        folder,
        card,
        halved=True,
    )


def export_strip_reader(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a stamp reader's model folder; see :func:`export_detector`."""
    spec = StripPreprocess(height=STRIP_HEIGHT, capital=CAPITAL, lead=MARGIN)
    shape = (2, spec.height, 20 * spec.multiple)
    strips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    card = _card_base("stamp", "reader", training) | {
        "inputs": {"strips": f"uint8 (N, {spec.height}, W) grey, W a multiple of {spec.multiple}"},
        "outputs": {
            "log_probs": f"float32 (N, W / 4, {len(STRIP_ALPHABET) + 1}), class 0 the blank"
        },
        "preprocess": spec,
        "decode": ReaderDecode(alphabet=STRIP_ALPHABET),
        "thresholds": {"legible_score": 0.6},
    }
    width = torch.export.Dim("W8")
    return _write(
        ReaderGraph(net).eval(),
        strips,
        ["log_probs"],
        {0: torch.export.Dim("N"), 2: spec.multiple * width},
        folder,
        card,
        halved=True,
    )


def export_segmenter(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a stamp segmenter's model folder; see :func:`export_detector`."""
    side = segmenter.SIDE
    crops = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    )
    card = _card_base("stamp", "segmenter", training) | {
        "inputs": {"crops": f"uint8 (N, {side}, {side}, 3) RGB"},
        "outputs": {"ink": f"float32 (N, {side}, {side}) probability of ink"},
        "preprocess": SegmenterPreprocess(side=side, margin=segmenter.MARGIN),
        "thresholds": {"mask_score": 0.5},
    }
    return _write(
        SegmenterGraph(net).eval(), crops, ["ink"], {0: torch.export.Dim("N")}, folder, card
    )


def export_verifier(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a stamp verifier's model folder, its weights as float16; see :func:`export_detector`.

    The runtime takes them back to float32 when it loads them: half the file, at the same speed.
    """
    side = verifier.SPEC.side
    crops = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    )
    card = _card_base("stamp", "verifier", training) | {
        "inputs": {"crops": f"uint8 (N, {side}, {side}, 3) RGB, the candidate in the middle"},
        "outputs": {"log_odds": "float32 (N,) log-odds of a stamp"},
        "preprocess": verifier.SPEC,
        "decode": VerifierDecode(weight=verifier.WEIGHT),
        "thresholds": {"candidate_score": verifier.CANDIDATE_SCORE, "min_score": 0.5},
    }
    return _write(
        VerifierGraph(net).eval(),
        crops,
        ["log_odds"],
        {0: torch.export.Dim("N")},
        folder,
        card,
        halved=True,
    )


def export_embedder(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a stamp embedder's model folder; see :func:`export_detector`."""
    side = embedder.SIDE
    ink = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, side, side), np.uint8))
    card = _card_base("stamp", "embedder", training) | {
        "inputs": {"ink": f"uint8 (N, {side}, {side}), 255 where it is surely ink"},
        "outputs": {"embedding": "float32 (N, 256) of unit length"},
        "preprocess": EmbedderPreprocess(side=side),
    }
    return _write(
        EmbedderGraph(net).eval(), ink, ["embedding"], {0: torch.export.Dim("N")}, folder, card
    )


def export_comparer(net: nn.Module, folder: Path, training: Mapping[str, Any]) -> ModelCard:
    """Write a stamp comparer's model folder; see :func:`export_detector`."""
    shape = (2, 9 * SPEC.multiple, 12 * SPEC.multiple, 2 * PLANES)
    pairs = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    batch, height, width = torch.export.Dim("N"), torch.export.Dim("H16"), torch.export.Dim("W16")
    card = _card_base("stamp", "comparer", training) | {
        "inputs": {
            "pairs": f"uint8 (N, H, W, {2 * PLANES}), H and W multiples of {SPEC.multiple}: ink, "
            "grey and colourfulness of one imprint, then of the other laid on it"
        },
        "outputs": {
            "same": "float32 (N,) probability that one stamp made both",
            "differs": f"float32 (N, H/{STRIDE}, W/{STRIDE}) probability of a difference there",
        },
        "preprocess": SPEC,
        "thresholds": {"different": 0.45, "same": 0.55, "marked": 0.5},
    }
    return _write(
        ComparerGraph(net).eval(),
        pairs,
        ["same", "differs"],
        {0: batch, 1: SPEC.multiple * height, 2: SPEC.multiple * width},
        folder,
        card,
    )


def _card_base(kind: str, task: str, training: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{kind}-{task}",
        "version": "1.0.0",
        "task": task,
        "kind": kind,
        "training": dict(training),
    }


def _write(
    graph: nn.Module,
    example: Tensor,
    outputs: list[str],
    dynamic: Mapping[int, Any],
    folder: Path,
    card: dict[str, Any],
    *,
    halved: bool = False,
) -> ModelCard:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_NAME
    (name,) = card["inputs"]
    exporter = logging.getLogger("torch.onnx")
    exporter.setLevel(logging.ERROR)  # it warns of libraries that it could use and does not need
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.cpu(),
            (example,),
            path,
            input_names=[name],
            output_names=outputs,
            dynamic_shapes=(dict(dynamic),),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if halved:
        halve(path)
    data = without_traces(path)
    entry = FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    made = ModelCard(files={MODEL_NAME: entry}, **card)
    made.write(folder / CARD_NAME)
    parity = _HALVED_PARITY if halved else _PARITY
    check_parity(graph, folder, name, example.numpy(), made, parity)
    return made


def halve(path: Path) -> None:
    """Store the large weights of an exported model as float16, which it casts to float32."""
    import onnx  # slow to import

    model = onnx.load(path)
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < _LARGE_WEIGHT:
            continue
        values = onnx.numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        wide = f"{weight.name}{_WIDENED}"
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == weight.name:
                    node.input[place] = wide
        casts.append(
            onnx.helper.make_node("Cast", [weight.name], [wide], to=onnx.TensorProto.FLOAT)
        )
    first = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *first])
    del graph.value_info[:]
    onnx.save(model, path)


def without_traces(path: Path) -> bytes:
    """Take out of an exported model where in whose files each node was written; returns the rest.

    The exporter notes it for debugging; it takes a tenth of the file and names local folders.
    """
    import onnx  # slow to import

    model = onnx.load(path)
    del model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)
    return path.read_bytes()


def check_parity(
    graph: nn.Module,
    folder: Path,
    name: str,
    example: NDArray[np.uint8],
    card: ModelCard,
    parity: float = _PARITY,
) -> None:
    """Compare the exported model with the network on one input.

    Raises:
        RuntimeError: an output differs by more than rounding, a share of ``parity`` of the largest.
    """
    model = OnnxModel(find_model(folder, task=card.task, kind=card.kind), threads=1)
    exported = model.run(**{name: example})
    with torch.no_grad():
        result = graph(torch.from_numpy(example))
    values = result if isinstance(result, tuple) else (result,)
    for (output, value), expected in zip(exported.items(), values, strict=True):
        worst = _disagreement(value, expected.numpy(), ranked=card.task == "detector")
        if worst > parity:
            raise RuntimeError(
                f"{folder}: output {output} of the exported model is off by {worst:.2g}"
            )


def _disagreement(
    value: NDArray[np.float32], expected: NDArray[np.float32], *, ranked: bool
) -> float:
    """Largest difference, to the largest value expected.

    Rounding may swap ranked rows whose scores are all but equal: then the first rows are paired
    with the nearest expected, not by place.
    """
    distance = np.abs(value - expected)
    if ranked:
        rows = value[0].reshape(value.shape[1], -1)[: max(1, value.shape[1] // 2)]
        others = expected[0].reshape(expected.shape[1], -1)
        distance = np.abs(rows[:, None] - others[None]).max(axis=-1).min(axis=1)
    return float(distance.max()) / max(1.0, float(np.abs(expected).max()))


def load_weights(net: nn.Module, checkpoint: Path) -> nn.Module:
    """Put a checkpoint's best averaged weights into a network, in evaluation mode."""
    net.load_state_dict(best_weights(checkpoint))
    return net.eval()
