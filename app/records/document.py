"""One record as a document: question, answer with the judge's evidence marked, reference, analysis, data.

Texts of records are inserted as plain text, never as markup: nobody vouches for what is in them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from PySide6.QtGui import QColor, QFont, QTextBlockFormat, QTextCharFormat

from app.records.long_text import LongText
from app.records.passages import Passage, Passages
from app.records.quotes import is_looked_for, places_of
from errormap_core.judge.evidence import Span
from errormap_core.judge.shortening import Shortening
from errormap_core.measures.how import PLACED, STATE_NAMES
from errormap_core.project.queries import AnalysisRow, RecordDetail
from errormap_core.sentences import Sentence, tr, trn

QUALITIES: Mapping[str | None, Sentence] = {
    "correct": tr("✓ correct"),
    "partially_correct": tr("~ partly correct"),
    "incorrect": tr("✗ incorrect"),
    None: tr("○ missing"),
}

VERDICTS: Mapping[str, Sentence] = {
    "error": tr("Error"),
    "no_error": tr("No error found"),
    "unclear": tr("Cannot tell"),
}


@dataclass(frozen=True, slots=True)
class Colours:
    """What the document needs of the theme."""

    text: str
    muted: str
    evidence: str
    bad: str
    good: str


def evidence_spans(detail: RecordDetail) -> list[Span]:
    """Where the counted analysis's quotes are really found in the answer, merged and in order."""
    if detail.analysis is None:
        return []
    found = sorted(
        span
        for criterion in detail.analysis.required_criteria
        for span in places_of(detail.output_text, criterion.get("evidence") or "")
    )
    merged: list[Span] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


LONG = 10_000
"""Of a text with more characters its heading says how many it has: the scroll bar does not."""


def _sized(title: Sentence, text: str) -> Sentence:
    if len(text) <= LONG:
        return title
    return tr("{title} · {n:,} characters, laid out as you scroll", title=title, n=len(text))


def author_of_criteria(detail: RecordDetail, analysis: AnalysisRow) -> AnalysisRow | None:
    """The judge's analysis that the criteria of a person's come from: a person who corrects one keeps them as they are.
    None where a person wrote them, or there are none."""
    if analysis.source_kind != "annotator" or not analysis.required_criteria:
        return None
    others = (other for other in detail.analyses if other.source_kind != "annotator")
    return next((other for other in others if other.required_criteria == analysis.required_criteria), None)


def quotes_of(detail: RecordDetail) -> list[str]:
    """What the counted analysis quotes of the answer."""
    criteria = [] if detail.analysis is None else detail.analysis.required_criteria
    return [criterion["evidence"] for criterion in criteria if criterion.get("evidence")]


class RecordDocument:
    """Writes a record into a view. `places` tells which passage each section begins with (for jumping); with `stay` the
    view shows what one reads, else the top."""

    def __init__(self, view: LongText, colours: Colours, *, base: QFont, stay: bool = False) -> None:
        self._view = view
        self._colours = colours
        self._base = base
        self._stay = stay
        self._passages: list[Passage] = []
        self.places: dict[str, int] = {}
        self.n_marked = 0

    def write(
        self, detail: RecordDetail, *, category: str, references: Iterable[tuple[str, str]], to_do: Sentence
    ) -> None:
        """Write all of it; `to_do` stands in place of an analysis where there is none."""
        self._passages, self.places = [], {}
        self._head(detail, category)
        self._heading("question", _sized(tr("Question"), detail.input_text))
        self._text(detail.input_text)
        self._heading("answer", _sized(tr("Answer"), detail.output_text))
        self._answer(detail)
        self._heading("reference", tr("Reference"))
        self._text(detail.correct_answer) if detail.correct_answer else self._muted(tr("None was given."))
        references = list(references)
        if references:
            self._heading("correct", trn("{n:,} correct answer", "{n:,} correct answers", len(references)))
            for model, text in references:
                self._muted(tr("{model}", model=model))
                self._text(text)
        self._analysis(detail, to_do)
        self._rest(detail)
        self._show()

    def write_parts(self, detail: RecordDetail, parts: Collection[str]) -> None:
        """The answer with the evidence marked, and of 'question', 'reference', 'correct' and 'criteria' those in `parts`."""
        self._passages, self.places = [], {}
        if "question" in parts:
            self._heading("question", _sized(tr("Question"), detail.input_text))
            self._text(detail.input_text)
            self._heading("answer", _sized(tr("Answer"), detail.output_text))
        self._answer(detail)
        if "reference" in parts:
            self._heading("reference", tr("Reference"))
            self._text(detail.correct_answer) if detail.correct_answer else self._muted(tr("None was given."))
        if "correct" in parts:
            n = len(detail.correct_predictions)
            self._heading("correct", trn("{n:,} correct answer", "{n:,} correct answers", n))
            for model, text in detail.correct_predictions:
                self._muted(tr("{model}", model=model))
                self._text(text)
        if "criteria" in parts and detail.analysis is not None:
            self._heading("criteria", tr("What the judge looked at"))
            self._one_analysis(detail, detail.analysis)
        self._show()

    def write_analysis(self, detail: RecordDetail, analysis: AnalysisRow | None) -> None:
        """One analysis of a record alone, whether it counts or not."""
        self._passages, self.places = [], {}
        if analysis is None:
            self._muted(tr("No analysis yet."))
        else:
            self._one_analysis(detail, analysis)
        self._show()

    def _show(self) -> None:
        muted = self._style(colour=self._colours.muted)
        self._view.show_passages(
            Passages(self._passages), base=self._base, muted=muted, places=self.places, stay=self._stay
        )

    def _head(self, detail: RecordDetail, category: str) -> None:
        verb = tr("passed") if detail.state is None else tr("failed")
        self._block(space=0)
        self._insert(f"{detail.dataset} · {detail.model} · {detail.example_id}", weight=QFont.Weight.DemiBold)
        self._block(space=2)
        state = tr("Passed") if detail.state is None else STATE_NAMES[detail.state]
        said = tr(
            "{verb} with {score:g} (threshold {threshold:g}) · {state} · {category}{how}",
            verb=verb,
            score=detail.score,
            threshold=detail.threshold,
            state=state,
            category=category,
            how="" if detail.placed_by is None else tr(", {how}", how=PLACED[detail.placed_by]),
        )
        self._insert(str(said), colour=self._colours.muted)
        reason = detail.mark_reason or (detail.engine_reason if detail.state == "engine_failed" else "")
        if reason:
            self._block(space=2)
            self._insert(reason, colour=self._colours.bad)
        if detail.note:
            self._block(space=4)
            self._insert(str(tr("Note: {text}", text=detail.note)))

    def _answer(self, detail: RecordDetail) -> None:
        text, spans = detail.output_text, evidence_spans(detail)
        self.n_marked = len(spans)
        if not text.strip():
            self._muted(tr("The model gave an empty answer."))
            return
        self._block(space=4)
        at = 0
        for start, end in spans:
            self._insert(text[at:start], size=1.05)
            self._insert(text[start:end], size=1.05, evidence=True)
            at = end
        self._insert(text[at:], size=1.05)

    def _analysis(self, detail: RecordDetail, to_do: Sentence) -> None:
        self._heading("analysis", tr("Analysis"))
        if detail.analysis is None:
            self._muted(to_do)
        else:
            self._one_analysis(detail, detail.analysis)
        others = [a for a in detail.analyses if not a.counts]
        if others:
            self._heading("others", trn("{n:,} other analysis", "{n:,} other analyses", len(others)))
            for analysis in others:
                outdated = tr(" · outdated, the record was replaced") if analysis.is_outdated else ""
                self._muted(tr("{name}{outdated}", name=analysis.source_name, outdated=outdated))
                self._text(f"{analysis.error_title}\n{analysis.error_summary}")

    def _one_analysis(self, detail: RecordDetail, analysis: AnalysisRow) -> None:
        self._block(space=4)
        self._insert(analysis.error_title or str(VERDICTS[analysis.verdict]), weight=QFont.Weight.DemiBold, size=1.1)
        self._text(analysis.error_summary)
        self._muted(tr("{verdict} · by {name} · {at}", verdict=VERDICTS[analysis.verdict],
                       name=analysis.source_name, at=analysis.created_at[:16].replace("T", " ")))  # fmt: skip
        shortening = Shortening.from_json(analysis.details.get("shortened"))
        if shortening.is_shortened:
            self._muted(shortening.sentence())
        author = author_of_criteria(detail, analysis)
        if author is not None:
            self._muted(tr("Criteria below: written by {judge}, not by {name}", judge=author.source_name,
                           name=analysis.source_name))  # fmt: skip
        for criterion in analysis.required_criteria:
            quality = QUALITIES.get(criterion.get("quality"), QUALITIES[None])
            good = criterion.get("quality") == "correct"
            self._block(space=8)
            self._insert(f"{quality}  ", colour=self._colours.good if good else self._colours.bad)
            self._insert(str(criterion.get("criterion", "")))
            evidence = criterion.get("evidence") or ""
            if evidence:
                is_found = bool(places_of(detail.output_text, evidence))
                self._block(space=2, indent=1)
                self._insert(f"“{evidence}”", evidence=is_found, colour=None if is_found else self._colours.muted)
                if not is_found:
                    is_open = is_looked_for(detail.output_text, evidence)
                    said = tr("  (being looked for in the answer)") if is_open else tr("  (not found in the answer)")
                    self._insert(str(said), colour=self._colours.muted)
            if criterion.get("comment"):
                self._block(space=2, indent=1)
                self._insert(str(criterion["comment"]), colour=self._colours.muted)

    def _rest(self, detail: RecordDetail) -> None:
        self._heading("data", tr("Data"))
        self._muted(tr("{file}, line {line:,}", file=detail.source_file, line=detail.source_line))
        for key, value in (*detail.metrics.items(), *detail.extra.items()):
            self._block(space=2)
            self._insert(f"{key}: ", colour=self._colours.muted)
            self._insert(str(value))

    def _heading(self, key: str, title: Sentence) -> None:
        self._block(space=14)
        self.places[key] = len(self._passages) - 1
        self._insert(str(title).upper(), colour=self._colours.muted, weight=QFont.Weight.DemiBold, size=0.85)

    def _muted(self, text: Sentence) -> None:
        self._block(space=4)
        self._insert(str(text), colour=self._colours.muted)

    def _text(self, text: str) -> None:
        self._block(space=4)
        self._insert(text)

    def _block(self, *, space: int, indent: int = 0) -> None:
        block = QTextBlockFormat()
        block.setTopMargin(space)
        block.setIndent(indent)
        block.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        self._passages.append(Passage(block))

    def _insert(
        self, text: str, *, colour: str | None = None, weight: int = QFont.Weight.Normal, size: float = 1.0,
        evidence: bool = False,
    ) -> None:  # fmt: skip
        style = self._style(colour=colour, weight=weight, size=size)
        if evidence:
            style.setBackground(QColor(self._colours.evidence))
            style.setFontUnderline(True)  # colour is never the only sign
        self._passages[-1].runs.append((text, style))

    def _style(
        self, *, colour: str | None = None, weight: int = QFont.Weight.Normal, size: float = 1.0
    ) -> QTextCharFormat:
        style = QTextCharFormat()
        style.setForeground(QColor(colour or self._colours.text))
        style.setFontWeight(weight)
        style.setFontPointSize(self._base.pointSizeF() * size)
        return style
