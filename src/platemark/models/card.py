"""The card of a model: one JSON file with all that is known about it, read, checked and written."""

from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from platemark.errors import ModelCorrupt

CARD_NAME = "card.json"
MODEL_NAME = "model.onnx"


class _Section(BaseModel):
    """A part of a card: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Section):
    """Size and digest of a file of the model."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class SecondLook(_Section):
    """When and how photos get a second pass, for marks too small for the first.

    Attributes:
        long_side: Length to which the long side is scaled then at most, in pixels.
        below_score: The second pass is made when the first found nothing with this score
        below_width: ... that is at least this wide in the network's input, in pixels: where one
            mark is small, others may be too small.
        from_score: It is made only where the first found something with this score: even marks
            that are too small for it leave traces.
        from_ratio: It shows the image larger than the first pass by at least this factor: at its
            own size, or enlarged as far as the detector enlarges images; where that is not enough
            there is no second pass.
    """

    long_side: int = Field(default=1920, ge=32)
    below_score: float = Field(default=0.5, ge=0, le=1)
    below_width: float = Field(default=0.0, ge=0)
    from_score: float = Field(default=0.0, ge=0, le=1)
    from_ratio: float = Field(default=1.6, ge=1)


class CoarseLooks(_Section):
    """Passes at low resolution, for marks that fill much of the image.

    Attributes:
        long_sides: Lengths to which the long side is scaled, in pixels.
        margin: What is padded on each side, as a fraction of that length, where the network needs
            surroundings to find a mark.
        from_share: A mark found there counts when its longer side is at least this share of the
            image's.
    """

    long_sides: tuple[int, ...] = Field(min_length=1)
    margin: float = Field(default=0.0, ge=0, le=2)
    from_share: float = Field(default=0.4, gt=0, le=1)


class Refine(_Section):
    """When and how candidates that came out small are judged again in a crop at more pixels.

    The crop decides: its score and corners take the place of the first ones, and a candidate of
    which it shows nothing is dropped.

    Attributes:
        from_score: Candidates with this score are refined
        below_score: ... and a lower one than this
        below_width: ... that are narrower than this in the network's input, in pixels.
        width: Width to which they are brought, in pixels; never enlarged.
        from_ratio: They are refined where that shows them larger by at least this factor.
        side: Side of the square network input around one mark, in pixels.
        limit: At most this number of candidates per image, best first.
    """

    from_score: float = Field(default=0.0, ge=0, le=1)
    below_score: float = Field(default=1.0, ge=0, le=1)
    below_width: float = Field(default=48.0, gt=0)
    width: float = Field(default=96.0, gt=0)
    from_ratio: float = Field(default=1.0, ge=1)
    side: int = Field(default=256, ge=32, multiple_of=32)
    limit: int = Field(default=8, ge=1)


class DetectorPreprocess(_Section):
    """How an image becomes the input of a detector.

    Attributes:
        long_side: Length to which the long side is scaled, in pixels.
        max_upscale: Small images are not enlarged by more than this.
        multiple: Both sides are padded to a multiple of this, right and bottom.
        pad: Grey value of the padding.
        second_look: Whether and when photos get a second pass.
        coarse_looks: Whether marks that fill much of the image are searched at fewer pixels.
        refine: Whether and when small candidates are judged again.
    """

    long_side: int = Field(ge=32)
    max_upscale: float = Field(default=1.0, gt=0)
    multiple: int = Field(default=32, ge=1)
    pad: int = Field(default=114, ge=0, le=255)
    second_look: SecondLook | None = None
    coarse_looks: CoarseLooks | None = None
    refine: Refine | None = None


class CropPreprocess(_Section):
    """How a mark becomes a rectified crop.

    Attributes:
        height: Height of the crop in pixels.
        width: Its width; the aspect ratio is not kept.
        margin: What is taken around the mark, as a fraction of its width and height.
    """

    height: int = Field(ge=8)
    width: int = Field(ge=8)
    margin: float = Field(default=0.0, ge=0, lt=1)


class ReaderPreprocess(CropPreprocess):
    """How a mark becomes the input of a reader: a grey crop."""


class ClassifierPreprocess(CropPreprocess):
    """How a plate becomes the input of a classifier: an RGB crop."""


class StripPreprocess(_Section):
    """How a line of a stamp becomes the input of a reader of strips.

    Attributes:
        height: Rows of the strip; it is as wide as the line is long.
        capital: Height of a capital letter in it, in pixels.
        lead: What it shows before and behind the text, in heights of a capital.
        multiple: Columns are added on the right up to a multiple of this.
    """

    height: int = Field(ge=8)
    capital: float = Field(gt=0)
    lead: float = Field(default=0.35, ge=0)
    multiple: int = Field(default=8, ge=1)


class SegmenterPreprocess(_Section):
    """How the surroundings of a box become the input of a segmenter.

    Attributes:
        side: Side of the square RGB crop in pixels.
        margin: What is taken around the box on each side, as a fraction of its longer side.
    """

    side: int = Field(ge=32)
    margin: float = Field(default=0.0, ge=0, lt=1)


class EmbedderPreprocess(_Section):
    """How an ink mask becomes the input of an embedder.

    Attributes:
        side: Side of the square picture of ink in pixels.
        margin: What stays empty at each of its sides, as a fraction of the side.
    """

    side: int = Field(ge=32)
    margin: float = Field(default=0.0, ge=0, lt=0.5)


class ComparerPreprocess(_Section):
    """How two imprints become the input of a comparer.

    Attributes:
        content: The longer side of the first imprint on the canvas, in pixels.
        margin: What is left around it, in pixels.
        multiple: The sides of the canvas are multiples of this.
    """

    content: int = Field(ge=32)
    margin: int = Field(default=0, ge=0)
    multiple: int = Field(default=16, ge=1)


class VerifierPreprocess(_Section):
    """How the surroundings of a box become the input of a verifier.

    Attributes:
        side: Side of the square RGB crop in pixels.
        context: Side of the window around the box, as a multiple of the longer side of the box.
        outside: What is left of the contrast outside the box, which so shows itself.
    """

    side: int = Field(ge=32)
    context: float = Field(ge=1)
    outside: float = Field(default=1.0, ge=0, le=1)


class DetectorDecode(_Section):
    """How the output of a detector becomes detections: the IoU of non-maximum suppression."""

    iou: float = Field(default=0.5, gt=0, le=1)


class ReaderDecode(_Section):
    """How the output of a reader becomes text.

    Attributes:
        alphabet: Character of each class; class 0 is the blank, class 1 the first character.
        beam_width: Texts that the search keeps at each step.
        alternatives: Other texts that are given at most.
    """

    alphabet: str = Field(min_length=1)
    beam_width: int = Field(default=8, ge=1)
    alternatives: int = Field(default=4, ge=0)


class VerifierDecode(_Section):
    """How the output of a verifier joins the score of the detector.

    Attributes:
        weight: What the log-odds of the crop count beside those of the detector.
    """

    weight: float = Field(gt=0)


class ClassifierDecode(_Section):
    """How the output of a classifier becomes answers.

    Attributes:
        regions: Region code of each class, in the order of the output.
    """

    regions: tuple[str, ...] = Field(min_length=1)


class Calibration(_Section):
    """How raw scores become probabilities that hold.

    Attributes:
        temperature: Divides the log-probabilities of a reader's frames or a classifier's regions.
        scale: Slope of the logistic calibration ``sigmoid(scale * logit(score) + bias)``
            (Platt 1999), for detections, whole texts and obscured plates.
        bias: Its offset.
    """

    temperature: float = Field(default=1.0, gt=0)
    scale: float = Field(default=1.0, gt=0)
    bias: float = 0.0


class DesignOdds(_Section):
    """Log-odds that two imprints are of one design, as a weighted sum (logistic regression).

    Attributes:
        bias: What is added.
        ink: Weight of the log-odds of the network.
        agreement: Weight of how alike the strokes are, see `platemark.matching.alignment`.
        features: Weight of the logarithm of one more than the local features that agree.
        similarity: Weight of the cosine similarity of the embeddings.
    """

    bias: float
    ink: float
    agreement: float
    features: float
    similarity: float = 0.0


class DetailOdds(_Section):
    """Log-odds that no detail differs, from those of the network.

    Attributes:
        bias: What is added.
        ink: Weight of the log-odds of the network.
    """

    bias: float
    ink: float


class Fusion(_Section):
    """How a comparer joins what the network, the alignment, local features and embeddings say.

    Attributes:
        embedder: Name and version of the model whose embeddings it was fitted with.
        design: One design or two, for imprints with embeddings of that model.
        unembedded: The same for others.
        legible: Whether a detail differs, for imprints that are large enough to show it.
        illegible: The same for others.
        least_side: Imprints with a longer side of this many pixels are.
        least_agreement: They are different for a detail only if they lie on each other so well.
    """

    embedder: str
    design: DesignOdds
    unembedded: DesignOdds
    legible: DetailOdds
    illegible: DetailOdds
    least_side: float = Field(ge=0)
    least_agreement: float = Field(ge=0, le=1)


class PlateOdds(_Section):
    """Log-odds that a detection is a plate, by what is read of it, as a weighted sum (logistic
    regression).

    Attributes:
        bias: What is added.
        detector: Weight of the log-odds of the detector.
        text: Weight of the log-odds of the text score, where the text has a digit.
        lettering: What is added where it has none: most plates have digits, most lettering has not.
        least_text: Text scores below this count as this.
        least: Least probability of a detection that counts.
    """

    bias: float
    detector: float = Field(gt=0)
    text: float = Field(ge=0)
    lettering: float
    least_text: float = Field(default=0.018, gt=0, lt=1)
    least: float = Field(default=0.3, ge=0, le=1)


class TextOdds(_Section):
    """Log-odds that the text of a plate is right, where a classifier says whether a part of it is
    hidden, as a weighted sum (logistic regression).

    Attributes:
        bias: What is added.
        text: Weight of the log-odds of the text score.
        hidden: Weight of the log-odds that a part is hidden.
    """

    bias: float
    text: float = Field(gt=0)
    hidden: float = Field(le=0)


class LikenessOdds(_Section):
    """Log-odds that a candidate is a taught mark, as a weighted sum (logistic regression).

    Attributes:
        bias: What is added.
        detector: Weight of the log-odds of the detector.
        similarity: Weight of the cosine similarity of the embeddings.
        ink: Weight of the log-odds of the comparer.
    """

    bias: float
    detector: float
    similarity: float
    ink: float


class TaughtSample(_Section):
    """A cut-out of a mark that a detector was taught to find.

    Attributes:
        name: What the mark is called.
        file: The cut-out in the folder of the model: a PNG, transparent where it has no ink.
    """

    name: str = Field(min_length=1)
    file: str = Field(min_length=1)


class Likeness(_Section):
    """How candidates of a detector are told from other marks by their appearance.

    Attributes:
        samples: Pictures of the marks.
        embedder: Name and version of the model whose embeddings the odds were fitted with.
        odds: How the signals join.
    """

    samples: tuple[TaughtSample, ...] = Field(min_length=1)
    embedder: str
    odds: LikenessOdds


class Metric(_Section):
    """A metric that was measured on a data set, and how."""

    name: str
    dataset: str
    split: str
    n: int = Field(ge=0)
    value: float
    interval: tuple[float, float] | None = None
    command: str


class ModelCard(_Section):
    """All that is known about a model; see the fields of the parts.

    Attributes:
        name: Name of the model, for `from_pretrained`.
        version: Its version.
        task: The stage it serves, such as ``"detector"`` or ``"reader"``.
        kind: The marks it serves, such as ``"plate"``.
        files: Size and digest of every file of the model by name.
        inputs: Type and shape of every input by name, for readers of the card.
        outputs: The same of every output.
        thresholds: Scores by name, such as ``min_score``.
        text_calibration: How what a reader says becomes a probability once plate formats had their
            say; None where it was not fitted.
        text_odds: How that joins what a classifier says of hidden texts; None for no change.
        gate: Which plates of a detector count, by what a reader says of them; None for all.
        fusion: How a comparer joins what several signals say; None where the network alone decides.
        likeness: The marks that a detector was taught from pictures of them; None for any mark of
            its kind.
        classes: What a detection can be.
        metrics: Measured values.
        training: How it was made: command, data, seed and what else there is to say.
        licence: Licence of the weights.
        limits: Known limits, in words.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    task: str
    kind: str
    files: dict[str, FileEntry]
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    preprocess: (
        DetectorPreprocess
        | ReaderPreprocess
        | ClassifierPreprocess
        | StripPreprocess
        | SegmenterPreprocess
        | EmbedderPreprocess
        | ComparerPreprocess
        | VerifierPreprocess
    )
    decode: ReaderDecode | ClassifierDecode | VerifierDecode | DetectorDecode = DetectorDecode()
    thresholds: dict[str, float] = {}
    calibration: Calibration = Calibration()
    text_calibration: Calibration | None = None
    text_odds: TextOdds | None = None
    gate: PlateOdds | None = None
    fusion: Fusion | None = None
    likeness: Likeness | None = None
    classes: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    training: dict[str, Any] = {}
    licence: str = "Apache-2.0"
    limits: tuple[str, ...] = ()

    @field_validator("preprocess")
    @classmethod
    def _of_the_task(cls, section: _Section, info: ValidationInfo) -> _Section:
        """Some sections have the same keys; the task tells them apart."""
        task = info.data.get("task")
        if isinstance(section, SegmenterPreprocess) and task == "embedder":
            return EmbedderPreprocess(**section.model_dump())
        if isinstance(section, ReaderPreprocess) and task == "classifier":
            return ClassifierPreprocess(**section.model_dump())
        return section

    @property
    def label(self) -> str:
        """Name and version, ``name@version``."""
        return f"{self.name}@{self.version}"

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a card.

        Raises:
            ModelCorrupt: It cannot be read, or its content is not that of a card.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            reason = error.strerror or str(error)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            reason = f"{first['msg']} at {place}" if place else first["msg"]
        raise ModelCorrupt(
            "the model card cannot be used", file=path, expected="a model card", actual=reason
        )

    def write(self, path: str | Path) -> None:
        """Write the card as JSON, indented, in the order of the fields."""
        text = self.model_dump_json(indent=2, exclude_none=True)
        Path(path).write_text(text + "\n", encoding="utf-8")
