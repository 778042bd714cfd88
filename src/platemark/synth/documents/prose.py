"""Words for documents: running text, names, amounts and dates in the scripts that are typeset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

_Item = TypeVar("_Item")

_LATIN = """
the of and to in shall be by for this agreement party parties with or any not on is as that from
company limited services payment date account number delivery goods terms under within days notice
herein contract seller buyer invoice amount total price order customer address signature year bank
office general information please regarding letter dear sincerely request report department board
provided however including without prior written consent obligations property certificate holder
issued according section article paragraph law court state republic city street director manager
und der die das von mit für auf ist nicht eine dem gemäß Vertrag Rechnung Lieferung Zahlung Betrag
zwischen sowie Herr Frau Gesellschaft Datum Unterschrift le la les des du est une pour dans sur par
société facture contrat numéro déclaration montant soussigné el los las que del con una se por como
empresa factura señor fecha importe presente oraz jest nie się umowa strona zgodnie dnia faktura
zamówienie spółka usługi dodavatel odběratel částka splatnost ile bir için tarih tutar şirket
"""
_CYRILLIC = """
и в на с по к от для договор стороны настоящий сторона обязуется сумма оплата услуги поставка товар
срок дата подпись директор общество ограниченной ответственностью заказчик исполнитель банк счёт
платёж акт приказ справка выдана города улица дом область Российская Федерация закон статья пункт
согласно условия работы рублей копеек номер адрес телефон печать настоящим подтверждает выполнение
обязательств уведомление документ приложение протокол собрание решение комиссия председатель
секретарь организация предприятие бухгалтер начальник та за між угода послуги кошти рахунок
підприємство Україна місто вулиця договірні зобов'язання България град дружество подпис
"""
_GREEK = """
και το της του την οι στο με για από στην που είναι σύμβαση εταιρεία ημερομηνία υπογραφή τιμολόγιο
ποσό σύνολο διεύθυνση αριθμός τράπεζα πληρωμή παράδοση όροι άρθρο παρούσα νόμος υπηρεσίες δήμος
Αθήνα Ελλάδα βεβαίωση πιστοποιητικό αίτηση υπουργείο γραφείο διευθυντής σύμφωνα δηλώνω ότι έγγραφο
"""
_ARABIC = """
من في على إلى هذا العقد الطرف الأول الثاني المبلغ التاريخ التوقيع الشركة المدير رقم الفاتورة العنوان
البنك الحساب شروط الدفع التسليم القانون المادة وزارة شهادة مدينة شارع الهاتف السيد المحترم بموجب
الاتفاق الخدمات المكتب العام الرئيس اللجنة وفقا خلال يوما
"""
_HAN = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产"
    "种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点"
    "从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看"
    "原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象"
    "合同甲乙双方签订金额公司银行地址电话日期盖章有限责任本协议约定支付"
)
_HEADINGS = {
    "latin": "INVOICE|AGREEMENT|CONTRACT|Rechnung|CERTIFICATE|DELIVERY NOTE|FACTURE|RECEIPT|Report|"
    "Power of Attorney|Declaration|Purchase Order|APPLICATION FORM|Minutes|Umowa|Faktura|Notice|"
    "DIPLOMA|STATEMENT|Memorandum|Protocol|Letter of Authorization|Permit|Licence",
    "cyrillic": "ДОГОВОР|АКТ|СПРАВКА|Протокол|ЗАЯВЛЕНИЕ|СЧЁТ|Накладная|ПРИКАЗ|Свидетельство|"
    "ДИПЛОМ|Доверенность|РЕШЕНИЕ|Угода",
    "greek": "ΣΥΜΒΑΣΗ|ΤΙΜΟΛΟΓΙΟ|Βεβαίωση|ΠΙΣΤΟΠΟΙΗΤΙΚΟ|Αίτηση",
    "arabic": "عقد|فاتورة|شهادة|إعلان",
    "han": "合同|发票|证明|通知|协议书|申请表|收据",
}
_VOCABULARY: dict[str, tuple[str, ...]] = {
    "latin": tuple(_LATIN.split()),
    "cyrillic": tuple(_CYRILLIC.split()),
    "greek": tuple(_GREEK.split()),
    "arabic": tuple(_ARABIC.split()),
    "han": tuple(_HAN),
}
SCRIPTS: tuple[str, ...] = tuple(_VOCABULARY)
"""The scripts there are words for."""
PROBES = {
    "latin": "aRg4",
    "cyrillic": "жЯфщЮ",
    "greek": "λΩπαΔςΥ",
    "arabic": "عشم",
    "han": "的国签",
}
"""A few characters by which a font shows that it covers a script."""
_CURRENCIES = ("EUR", "$", "USD", "GBP", "RUB", "Kč", "PLN", "CHF", "RM")


@dataclass(frozen=True)
class Prose:
    """A writer of plausible nonsense in one script.

    Attributes:
        script: one of :data:`SCRIPTS`.
    """

    script: str = "latin"

    @property
    def rightward(self) -> bool:
        """Whether lines start at the left."""
        return self.script != "arabic"

    @property
    def space(self) -> str:
        """What stands between words."""
        return "" if self.script == "han" else " "

    def words(self, count: int, rng: np.random.Generator) -> list[str]:
        """``count`` words of running text with sentences begun and ended."""
        vocabulary = _VOCABULARY[self.script]
        words = [vocabulary[index] for index in rng.integers(0, len(vocabulary), count)]
        start = 0
        stop = "。" if self.script == "han" else "."
        while start < count:
            words[start] = words[start][:1].upper() + words[start][1:]
            start += int(rng.integers(5, 22)) * (3 if self.script == "han" else 1)
            words[min(start, count) - 1] += stop
            comma = start - int(rng.integers(3, 8))
            if 0 <= comma < count - 1 and not words[comma].endswith(stop):
                words[comma] += "，" if self.script == "han" else ","
        return words

    def phrase(self, count: int, rng: np.random.Generator) -> str:
        """A few words without punctuation, the first capitalised."""
        vocabulary = _VOCABULARY[self.script]
        count *= 3 if self.script == "han" else 1
        text = self.space.join(vocabulary[i] for i in rng.integers(0, len(vocabulary), count))
        return text[:1].upper() + text[1:]

    def heading(self, rng: np.random.Generator) -> str:
        """The name of a kind of document."""
        choices = _HEADINGS[self.script].split("|")
        return choices[int(rng.integers(len(choices)))]

    def company(self, rng: np.random.Generator) -> str:
        """Two or three long words in capitals or title case, as in a letterhead."""
        vocabulary = [word for word in _VOCABULARY[self.script] if len(word) > 4] or list(
            _VOCABULARY[self.script]
        )
        count = int(rng.integers(1, 4)) * (3 if self.script == "han" else 1)
        words = [vocabulary[i] for i in rng.integers(0, len(vocabulary), count)]
        text = self.space.join(word[:1].upper() + word[1:] for word in words)
        return text.upper() if rng.random() < 0.5 else text


def digits(count: int, rng: np.random.Generator) -> str:
    """A string of random digits."""
    return "".join(map(str, rng.integers(0, 10, count)))


def amount(rng: np.random.Generator) -> str:
    """A price such as ``1,284.50``, with or without a currency."""
    value = float(np.exp(rng.uniform(0, 11)))
    text = f"{value:,.2f}"
    style = int(rng.integers(3))
    if style == 1:
        text = text.replace(",", " ").replace(".", ",")
    elif style == 2:
        text = f"{one_of(_CURRENCIES, rng)} {text}"
    return text


def date(rng: np.random.Generator) -> str:
    """A date in one of the common notations."""
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), rng.integers(1950, 2027)
    forms = (
        f"{day:02}.{month:02}.{year}",
        f"{day:02}/{month:02}/{year}",
        f"{year}-{month:02}-{day:02}",
        f"{month}/{day}/{year % 100:02}",
    )
    return one_of(forms, rng)


def one_of(choices: Sequence[_Item], rng: np.random.Generator) -> _Item:
    """One item of a sequence, all equally likely."""
    return choices[int(rng.integers(len(choices)))]
