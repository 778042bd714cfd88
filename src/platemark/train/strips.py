"""Strips of text for the stamp reader: set in many typefaces, inked, worn, overprinted, scanned."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from platemark.imaging.image import Pixels, compressed
from platemark.imaging.warp import warp
from platemark.models.preprocess import stretch_contrast
from platemark.stamps.baselines import CAPITAL, STRIP_HEIGHT
from platemark.synth.fontfiles import is_joining
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.phrases import Language, load_languages
from platemark.tasks.scripts import ALPHABET, fold
from platemark.train.pictures import is_held_out

Floats = NDArray[np.float32]
Rng = np.random.Generator

_CAP = 30  # pixels of a capital while the text is set
_ROWS = 84
_BASE = 57  # row of the baseline: capitals are in the middle of the rows
_HELD_OUT_FACES = 0.12
_RANDOM_TEXTS = 0.16
_EMPTY = 0.03
_TURNED = 0.05
# Languages whose letters the phrases of synthesis lack.
_MORE_WORDS = {
    "be": "Рэспубліка Беларусь Мінск Гродзенская вобласць таварыства з абмежаванай адказнасцю "
    "прыватнае ўнітарнае прадпрыемства Міністэрства ўпраўленне акцыянернае банк дакументаў аддзел "
    "гандлёвае горад Брэст Віцебск Магілёў Гомель нумар дзяржаўная ўстанова адукацыі школа",
    "kk": "Қазақстан Республикасы Алматы Астана қаласы жауапкершілігі шектеулі серіктестігі "
    "министрлігі облысы ауданы мемлекеттік мекемесі құжаттар үшін акционерлік қоғамы білім бөлімі "
    "Шымкент Қарағанды Өскемен ғылым орталығы тіркеу нөмірі БСН жеке кәсіпкер сот орындаушы",
    "sr": "Република Србија Београд Нови Сад друштво са ограниченом одговорношћу предузеће за "
    "производњу промет и услуге Ниш општина управа Љубљана Џепова министарство унутрашњих послова "
    "Крагујевац јавни бележник школа Ђорђевић Његош одељење градска ћелија жиро рачун број",
    "sv": "Aktiebolag Göteborg Malmö Stockholm Kungliga biblioteket Örebro Länsstyrelsen Skåne "
    "Ärende inkom diarienr förvaltningen Räkenskaper Åbo kommun",
    "tr": "Türkiye Cumhuriyeti İstanbul Ankara İzmir Ticaret Limited Şirketi Müdürlüğü Noter "
    "Belediyesi Vergi Dairesi Sanayi Şubesi Üniversitesi Çağlayan Ş. A.Ş. Kayıt Sayısı Gümrük",
    "hu": "Magyarország Budapest Korlátolt Felelősségű Társaság Győr Szűcs Főváros Önkormányzat "
    "Iktatószám Érkezett Közjegyző Bíróság Hivatal Könyvtára Üzem Fővárosi Zrt. Kft.",
    "ro": "România București Societatea Comercială Iași Timișoara Notar Public Ministerul Județul "
    "Primăria Întreprinderea Înregistrare Ștefan Țara Biblioteca Universității Cluj Registrul",
    "hr": "Republika Hrvatska Zagreb društvo s ograničenom odgovornošću Rijeka Split Općina "
    "Javni bilježnik Županija Đakovo Šibenik Čakovec primljeno Žiro račun Ljubljana Maribor",
    "lt": "Lietuvos Respublika Vilnius Kaunas Uždaroji akcinė bendrovė Šiauliai Rīga Latvijas "
    "Republika sabiedrība ar ierobežotu atbildību Tallinn Osaühing Eesti Vabariik Jelgava Ķekava "
    "savivaldybė Įmonės kodas Gautа Rokiškio mokykla Ļaudona Daugavpils".replace("а", "a"),
    "fr": "Bibliothèque Nationale République Française Dépôt légal Mairie de Paris Archives "
    "Enregistré à Paris Signé Greffe Notaire Œuvre Préfecture Département Reçu le Timbre Royale "
    "Manuscrits Imprimés Acquisition Université Société Anonyme Hôpital Cœur Évêché",
    "en": "PAID POSTED RECEIVED Manager Prop. Partner Authorised Signatory District For Tractors "
    "Motors Agencies Traders Dealer Auth. Sign. Director Branch Bank Ltd. Pvt. Enterprises Sales "
    "Service Station Agro Industries Mahindra Company Limited Sub Office Dist. Cell Phone Road",
}
_FORMS = """
{n2}.{n2}.{n4}; {n2}/{n2}/{n2}; No. {n6}; {n10}; {n12}; № {n5}; {n3}-{n2}-{n2}; {n5}; {n4}; {n3};
{n1}; +{n2} {n3} {n3} {n3}; Tel.: {n3} {n2} {n2}; P.O. Box {n4}; ИНН {n10}; ОГРН {n13};
ОКПО {n8}; КПП {n9}; ЄДРПОУ {n8}; УНП {n9}; БИН {n12}; БСН {n12}; IČO: {n8}; DIČ: CZ{n8};
NIP {n10}; VAT {n9}; ΑΦΜ {n9}; GSTIN {n2}ABCDE{n4}F1Z{n1}
"""
_SHAPES = tuple(form.strip() for form in _FORMS.split(";"))
_LETTERS = {
    "latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "latin more": "ÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÚÛÜÝĄĆČĎĐĘĚĞĢİĶĹĽŁŃŇŐŒŔŘŚŞŠŤŮŰŹŻŽȘȚĀĒĪŪŲĖĮABCDEGILNORSTUZ",
    "cyrillic": "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "cyrillic more": "ЂЄЉЊЋЎЏҐҒҚҢҮҰӘӨҺІЇЁЈАВЕНОРСТ",
    "greek": "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ",
    "digits": "0123456789",
    "mixed": "0123456789ABCDEFGHIJKLMNOPRSTUVWXYZ-/.",
}


def is_unseen_face(stem: str) -> bool:
    """Whether a typeface is kept for evaluation; all weights of a family go together."""
    family = stem.split("-")[0].split("_")[0].split(" ")[0].lower()
    return is_held_out(family, _HELD_OUT_FACES)


@dataclass(frozen=True)
class DrawnStrip:
    """A strip with what it says.

    Attributes:
        pixels: (H, W) uint8 grey.
        text: Folded text; empty where nothing can be read.
        middles: (L,) columns of the middles of its characters, NaN for spaces.
    """

    pixels: Pixels
    text: str
    middles: Floats


class Texts:
    """Texts such as stamps have, folded, without end."""

    def __init__(self) -> None:
        self._languages = tuple(
            language
            for language in load_languages()
            if not language.cjk and not any(map(is_joining, language.alphabet))
        )
        weights = np.array([language.weight for language in self._languages]) ** 0.7
        self._weights = weights / weights.sum()
        self._more = [words.split() for words in _MORE_WORDS.values()]

    def draw(self, length: int, rng: np.random.Generator) -> str:
        """A text of about ``length`` characters, at most a few more."""
        for _ in range(6):
            text = self._cased(self._raw(length, rng), rng)
            folded = fold(_shorten(text, length))
            if folded:
                return folded
        return "".join(rng.choice(list(_LETTERS["latin"]), max(1, length)))

    def _raw(self, length: int, rng: np.random.Generator) -> str:
        chance = rng.random()
        if chance < _RANDOM_TEXTS:
            return _random_text(length, rng)
        if chance < _RANDOM_TEXTS + 0.1:
            form = _SHAPES[int(rng.integers(len(_SHAPES)))]
            return self._languages[0].fill(form, rng)
        if chance < _RANDOM_TEXTS + 0.3:
            words = self._more[int(rng.integers(len(self._more)))]
            return " ".join(rng.choice(words, max(1, length // 6)))
        language = self._languages[int(rng.choice(len(self._languages), p=self._weights))]
        text = _phrase(language, rng)
        while len(text) < 0.7 * length:
            text += " " + _phrase(language, rng)
        return text

    @staticmethod
    def _cased(text: str, rng: np.random.Generator) -> str:
        chance = rng.random()
        if chance < 0.6:
            return text.upper()
        return text.lower() if chance > 0.95 else text


def _phrase(language: Language, rng: np.random.Generator) -> str:
    chance = rng.random()
    if chance < 0.2:
        return language.row(rng)
    if chance < 0.28:
        return language.mark(rng)
    if chance < 0.34:
        return language.today(rng)
    kind = str(rng.choice(list(language.kinds)))
    slot = str(rng.choice(["ring", "second", "core"], p=[0.6, 0.2, 0.2]))
    return language.phrase(kind, slot, rng).replace("/", " ")


def _random_text(length: int, rng: np.random.Generator) -> str:
    letters = list(_LETTERS[str(rng.choice(list(_LETTERS)))])
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        word = "".join(rng.choice(letters, int(rng.integers(1, 9))))
        words.append(word.title() if rng.random() < 0.4 else word)
    return " ".join(words)


def _shorten(text: str, length: int) -> str:
    """At most about ``length`` characters, cut at a space where there is one."""
    words, kept = text.split(), ""
    for word in words:
        if kept and len(kept) + 1 + len(word) > 1.2 * length + 1:
            break
        kept = f"{kept} {word}".strip()
    return kept[: round(1.3 * length) + 2].strip()


class _Face:
    """A font whose characters are cached as masks with a capital of `_CAP` pixels."""

    def __init__(self, path: Path) -> None:
        probe = ImageFont.truetype(str(path), 100)
        _, top, _, bottom = probe.getbbox("H")
        height = bottom - top if bottom > top + 20 else 70
        self._font = ImageFont.truetype(str(path), max(8, round(100 * _CAP / height)))
        self._ascent = self._font.getmetrics()[0]
        self._glyphs: dict[str, tuple[Pixels, int, int, float]] = {}

    def glyph(self, char: str) -> tuple[Pixels, int, int, float]:
        """Mask, its column and row from the origin on the baseline, advance."""
        if char not in self._glyphs:
            mask, offset = self._font.getmask2(char, "L", anchor="ls")
            pixels = np.asarray(mask, np.uint8).reshape(mask.size[1], mask.size[0])
            self._glyphs[char] = (
                pixels, int(offset[0]), int(offset[1]), float(self._font.getlength(char)),
            )  # fmt: skip
        return self._glyphs[char]

    def set(self, text: str, spacing: float) -> tuple[Floats, Floats]:
        """The text as coverage (_ROWS, W) in 0..1, and the middles (L,) of its characters."""
        glyphs = [self.glyph(char) for char in text]
        width = sum(max(0.0, glyph[3] + spacing) for glyph in glyphs)
        canvas = np.zeros((_ROWS, round(width) + 2 * _CAP), np.uint8)
        middles = np.full(len(text), np.nan, np.float32)
        x = float(_CAP)
        for index, (mask, left, top, advance) in enumerate(glyphs):
            column, row = round(x) + left, _BASE + top
            column, upper = max(column, 0), max(row, 0)
            part = mask[upper - row :][: _ROWS - upper, : canvas.shape[1] - column]
            if part.size and part.any():
                place = canvas[upper : upper + part.shape[0], column : column + part.shape[1]]
                np.maximum(place, part, out=place)
                middles[index] = column + mask.shape[1] / 2
            x += max(0.0, advance + spacing)
        return canvas.astype(np.float32) / 255.0, middles


class StripPress:
    """Draws strips.

    Args:
        fonts: Folder of typefaces beside the bundled ones, or None.
        unseen: Whether it sets with the typefaces kept for evaluation, not with the others.
    """

    def __init__(self, fonts: Path | None, *, unseen: bool = False) -> None:
        faces = StampFonts(fonts).faces
        self._faces = {name: face for name, face in faces.items() if is_unseen_face(name) == unseen}
        self._texts = Texts()
        self._names = sorted(self._faces)
        self._cover = {char: self._covering(char) for char in ALPHABET if char != " "}

    def _covering(self, char: str) -> frozenset[str]:
        return frozenset(name for name in self._names if self._faces[name].covers(char))

    def draw(self, width: int, rng: Rng) -> DrawnStrip:
        """A strip of `STRIP_HEIGHT` rows and ``width`` columns; see :class:`DrawnStrip`."""
        most = max(2, round(width / 12.5))
        text = self._texts.draw(max(1, round(most * rng.uniform(0.35, 1.0))), rng)
        names = self._common(text)
        if not names:
            return self.draw(width, rng)
        face = _face(self._faces[names[int(rng.integers(len(names)))]].path)
        spacing = _CAP * float(
            rng.choice([0.0, rng.uniform(-0.04, 0.12), rng.uniform(0.1, 0.6)], p=[0.4, 0.4, 0.2])
        )
        ink, middles = face.set(text, spacing)
        chance = rng.random()
        if chance < _EMPTY:
            text, ink = "", np.zeros_like(ink)
            if rng.random() < 0.5:
                ink = _doodle(ink.shape, rng)
        ink = _pressed(ink, rng)
        placed, middles = _placed(ink, middles, width, rng)
        strip = _captured(placed, rng, face, self._texts)
        if _EMPTY <= chance < _EMPTY + _TURNED and len(text.replace(" ", "")) >= 4:
            strip, text = turned(strip, rng), ""
        return DrawnStrip(stretch_contrast(strip), text, middles if text else middles[:0])

    def _common(self, text: str) -> list[str]:
        names = set(self._names)
        for char in set(text) - {" "}:
            names &= self._cover[char]
        return sorted(names)


@lru_cache(maxsize=512)
def _face(path: Path) -> _Face:
    return _Face(path)


def turned(strip: Pixels, rng: Rng) -> Pixels:
    """Upside down or mirrored: a text that is not to be read."""
    chance = rng.random()
    if chance < 0.5:
        return np.ascontiguousarray(strip[::-1, ::-1])
    return np.ascontiguousarray(strip[:, ::-1] if chance < 0.75 else strip[::-1])


def _pressed(ink: Floats, rng: Rng) -> Floats:
    """Bolder or thinner, worn, with patches that took no ink."""
    chance = rng.random()
    if chance < 0.3:
        kernel = np.ones((int(rng.integers(2, 5)),) * 2, np.uint8)
        ink = np.asarray(
            cv2.dilate(ink, kernel) if chance < 0.18 else cv2.erode(ink, kernel[:2, :2]), np.float32
        )
    elif chance < 0.33:
        edge = cv2.dilate(ink, np.ones((3, 3), np.uint8)) - cv2.erode(
            ink, np.ones((4, 4), np.uint8)
        )
        ink = np.asarray(edge, np.float32)
    height, width = ink.shape
    if rng.random() < 0.65:
        grain = float(rng.choice([4, 8, 20, 40]))
        noise = _clouds(height, width, grain, rng)
        if rng.random() < 0.5:
            noise = 0.6 * noise + 0.4 * _clouds(height, width, 3.0, rng)
        level = rng.uniform(-1.8, -0.5)
        hard = rng.uniform(1.0, 6.0)
        ink = ink * np.clip((noise - level) * hard, float(rng.uniform(0, 0.5)), 1.0)
    return np.asarray(ink, np.float32)


def _clouds(height: int, width: int, grain: float, rng: Rng) -> Floats:
    """Smooth noise (height, width) of unit variance about, with features of ``grain`` pixels."""
    small = rng.standard_normal(
        (max(2, round(height / grain)) + 1, max(2, round(width / grain)) + 1)
    )
    return np.asarray(
        cv2.resize(small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC),
        np.float32,
    )


def _placed(ink: Floats, middles: Floats, width: int, rng: Rng) -> tuple[Floats, Floats]:
    """The text in its strip as layout would cut it: scale, shift, slant, drift of the baseline."""
    columns = np.flatnonzero(ink.max(axis=0) > 0.2)
    first, last = (columns[0], columns[-1] + 1) if len(columns) else (_CAP, ink.shape[1] - _CAP)
    scale = CAPITAL / _CAP * float(np.exp(rng.normal(0, 0.1)))
    stretch = float(np.exp(rng.normal(0, 0.18)))
    wanted = scale * stretch * (last - first)
    room = width - 6.0
    if wanted > room:
        stretch *= room / wanted
        wanted = room
    lead = float(rng.uniform(3.0, max(3.0, min(width - wanted - 2.0, 26.0))))
    slant = float(rng.choice([0.0, rng.normal(0, 0.12)]))
    across = (np.arange(width) + 0.5 - lead) / (scale * stretch) + first
    drift = rng.normal(0, 0.7) + rng.normal(0, 0.8) * np.linspace(-1, 1, width)
    drift += rng.normal(0, 0.8) * np.sin(
        np.linspace(0, rng.uniform(1, 5), width) + rng.uniform(0, 6)
    )
    rows = (np.arange(STRIP_HEIGHT)[:, None] + 0.5 - STRIP_HEIGHT / 2 - drift[None]) / scale
    fan = 1.0 + float(rng.normal(0, 0.004)) * rows
    map_y = (rows + _BASE - _CAP / 2).astype(np.float32)
    middle = (first + last) / 2
    map_x = (across[None] + slant * rows).astype(np.float32)
    map_x = (
        ((map_x - middle) * fan + middle).astype(np.float32) if abs(last - first) < 400 else map_x
    )
    soft = cv2.GaussianBlur(ink, (0, 0), 0.42 / scale)
    strip = cv2.remap(soft, map_x, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, 0)
    columns_of = (middles - first) * np.float32(scale * stretch) + np.float32(lead)
    return np.asarray(strip, np.float32), np.asarray(columns_of, np.float32)


def _captured(ink: Floats, rng: Rng, face: _Face, texts: Texts) -> Pixels:
    """Ink (H, W) in 0..1 on paper, with what else is there, as a coarse scan or photo has it."""
    height, width = ink.shape
    if rng.random() < 0.35:
        ink = np.maximum(ink, _frames(height, width, rng))
    if rng.random() < 0.2:
        ink = np.maximum(ink, _neighbour(height, width, face, texts, rng))
    negative = rng.random() < 0.1
    if negative:
        top, bottom = rng.uniform(0, 4), rng.uniform(height - 4, height)
        area = np.zeros_like(ink)
        area[round(top) : round(bottom)] = 1.0
        ink = np.clip(area * float(rng.uniform(0.7, 1.0)) - ink, 0, 1)
    strength = float(rng.uniform(0.3, 1.0))
    dark = strength * ink
    if rng.random() < 0.4:
        dark = np.maximum(
            dark, float(rng.uniform(0.1, 0.7)) * _overprint(height, width, face, texts, rng)
        )
    if rng.random() < 0.25:
        dark = np.maximum(
            dark, float(rng.uniform(0.3, 1.0)) * _doodle((height, width), rng, thin=True)
        )
    if rng.random() < 0.5:
        dark = dark + float(rng.uniform(0, 0.14)) * _clouds(
            height, width, float(rng.uniform(5, 60)), rng
        )
    light = 245.0 - 215.0 * dark
    coarse = float(
        rng.choice([1.0, rng.uniform(1.0, 1.6), rng.uniform(1.4, 2.6)], p=[0.3, 0.4, 0.3])
    )
    if coarse > 1.05:
        size = (max(4, round(width / coarse)), max(4, round(height / coarse)))
        light = np.asarray(
            cv2.resize(
                cv2.GaussianBlur(light, (0, 0), 0.35 * coarse), size, interpolation=cv2.INTER_AREA
            ),
            np.float32,
        )
    if rng.random() < 0.3:
        light = np.asarray(
            cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.3, 1.1))), np.float32
        )
    if rng.random() < 0.7:
        light = light + rng.standard_normal(light.shape, np.float32) * np.float32(
            rng.uniform(0.5, 1.5 + 22 * strength**2)
        )
    shot: Pixels = np.asarray(np.clip(light, 0, 255), np.uint8)
    if rng.random() < 0.1:
        level = float(rng.uniform(0.35, 0.65)) * (float(shot.min()) + float(shot.max()))
        shot = np.asarray(np.where(shot > level, 255, 0), np.uint8)
    if rng.random() < 0.35:
        shot = compressed(shot, int(rng.integers(25, 85)))
    if shot.shape != (height, width):
        way = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
        shot = np.asarray(cv2.resize(shot, (width, height), interpolation=way), np.uint8)
    return shot


def _frames(height: int, width: int, rng: Rng) -> Floats:
    """Lines of a frame above and below a text."""
    canvas = np.zeros((height, width), np.float32)
    for edge in (0, height):
        if rng.random() < 0.7:
            offset = rng.uniform(-1, 4.5)
            row = offset if edge == 0 else height - offset
            bow = rng.normal(0, 1.2)
            xs = np.arange(width)
            ys = row + bow * np.sin(xs / width * np.pi * rng.uniform(0.5, 2))
            points = np.stack([xs, ys], axis=1)[:: max(1, width // 24)]
            cv2.polylines(
                canvas,
                [np.rint(points * 8).astype(np.int32)],
                False,
                float(rng.uniform(0.5, 1)),
                int(rng.integers(1, 4)),
                cv2.LINE_AA,
                3,
            )
    if rng.random() < 0.25:
        column = int(rng.integers(0, 6)) if rng.random() < 0.5 else width - int(rng.integers(1, 7))
        cv2.line(
            canvas,
            (column, 0),
            (column + int(rng.integers(-2, 3)), height),
            1.0,
            int(rng.integers(1, 4)),
        )
    return canvas


def _neighbour(height: int, width: int, face: _Face, texts: Texts, rng: Rng) -> Floats:
    """The rim of another line of the stamp, above or below."""
    text, _ = face.set(texts.draw(max(2, width // 14), rng), 0.0)
    scale = CAPITAL / _CAP * float(rng.uniform(0.7, 1.3))
    away = (CAPITAL * rng.uniform(1.1, 1.5)) * (1 if rng.random() < 0.5 else -1)
    matrix = np.array(
        [
            [scale, 0, rng.uniform(-30, 10)],
            [0, scale, height / 2 + away - scale * (_BASE - _CAP / 2)],
        ]
    )
    return warp(text, matrix, (width, height))


def _overprint(height: int, width: int, face: _Face, texts: Texts, rng: Rng) -> Floats:
    """Print that runs across the stamp: words at some angle and size, rules."""
    canvas = np.zeros((height, width), np.float32)
    if rng.random() < 0.75:
        text, _ = face.set(texts.draw(max(2, width // 10), rng), 0.0)
        scale = CAPITAL / _CAP * float(rng.uniform(0.4, 1.5))
        angle = float(rng.normal(0, 0.25) if rng.random() < 0.6 else rng.uniform(-3.2, 3.2))
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        middle = np.array([text.shape[1] / 2, _BASE - _CAP / 2])
        to = np.array([width * rng.uniform(0.1, 0.9), height * rng.uniform(-0.2, 1.2)])
        turn = np.array([[cosine, -sine], [sine, cosine]])
        matrix = np.concatenate([turn, (to - turn @ middle)[:, None]], axis=1)
        soft = np.asarray(cv2.GaussianBlur(text, (0, 0), 0.4 / scale), np.float32)
        canvas = warp(soft, matrix, (width, height))
    if rng.random() < 0.4:
        at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        tilt = float(rng.normal(0, 0.2)) + (np.pi / 2 if rng.random() < 0.4 else 0.0)
        reach = np.array([np.cos(tilt), np.sin(tilt)]) * width
        start, end = np.subtract(at, reach).astype(int), np.add(at, reach).astype(int)
        cv2.line(canvas, start.tolist(), end.tolist(), 1.0, int(rng.integers(1, 3)), cv2.LINE_AA)
    return canvas


def _doodle(shape: Sequence[int], rng: Rng, *, thin: bool = False) -> Floats:
    """Strokes of a pen, or of nothing that can be read."""
    height, width = shape
    canvas = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 3 if thin else 5))):
        steps = int(rng.integers(3, 9))
        points = np.cumsum(rng.normal(0, (width / 10, height / 2.5), (steps, 2)), axis=0)
        points += (rng.uniform(0, width), rng.uniform(0, height))
        smooth = cv2.resize(
            points.astype(np.float32)[:, None], (1, steps * 8), interpolation=cv2.INTER_CUBIC
        )
        cv2.polylines(
            canvas,
            [np.rint(smooth[:, 0].reshape(-1, 2) * 8).astype(np.int32)] if smooth.ndim == 3 else [],
            False,
            1.0,
            int(rng.integers(1, 3 if thin else 5)),
            cv2.LINE_AA,
            3,
        )
    return canvas
