"""The tab of the registry: known stamps are searched, shown, added, changed and removed."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gradio as gr

from platemark.apps.services import Services
from platemark.apps.web import documents, views
from platemark.apps.web.uploads import check_may_write, quiet, role_of, upload
from platemark.errors import NoStampFound, PlatemarkError, RegistryError
from platemark.masks import InkCrop
from platemark.registry import Added, Registry
from platemark.registry.records import Design
from platemark.usecases.enrol import Terms, add_stamps
from platemark.usecases.pages import Where, stamps_of

_LISTED = 100
_SHOWN_SAMPLES = 24
_MERGEABLE = 500
_MOST_SMALL = 2000
_NONE = ("The registry is empty.", "Add the first stamp: give a picture that shows it, and a name.")
_RETIRE, _REINSTATE = "Retire", "Search for it again"
_CHOOSE = ("Choose a stamp", "Its samples, notes and owner are shown here.")
_WITHOUT = (
    "This server has no registry",
    "Start it with a place for one, such as: platemark serve --registry stamps.db",
)


Shown = dict[Any, Any]
"""New values by the parts of the page that show them; all other parts stay as they are."""


class RegistryTab:
    """The contents of the tab.

    Args:
        services: What keeps the registry.
        tab: The tab; when it is opened, the list is read again.
        page: The page; says whose visit it is.
    """

    def __init__(self, services: Services, tab: gr.Tab, page: gr.Blocks) -> None:
        self._services = services
        if not services.has_registry:
            gr.HTML(views.empty("registry", *_WITHOUT))
            return
        self._small = lru_cache(_MOST_SMALL)(self._read_small)
        # The design whose details are shown, whether or not the list has it.
        self._shown = gr.State(None)
        with gr.Row(elem_classes="pm-cols"):
            with gr.Column(elem_classes="pm-side"):
                self._search = gr.Textbox(
                    "",
                    label="Search",
                    placeholder="Name, owner, tag, note or text of the stamp",
                    elem_id="pm-registry-search",
                )
                self._count = gr.HTML("", elem_id="pm-registry-count")
                self._list = gr.Radio(
                    [], label="Known stamps", elem_id="pm-registry-list", elem_classes="pm-list"
                )
                self._thumbnails = gr.HTML("")
                self._add_form()
            with gr.Column(elem_classes="pm-main"):
                self._said = gr.HTML("", elem_id="pm-registry-said")
                self._detail = gr.HTML(
                    views.empty("registry", *_CHOOSE), elem_id="pm-registry-detail"
                )
                self._change_form()
        self._wire(tab, page)

    def _add_form(self) -> None:
        with gr.Accordion("Add a stamp", open=False, visible=False) as self._adding:
            self._file = upload(self._services.settings, "A picture of it", "pm-registry-file")
            self._name = gr.Textbox("", label="Name", max_lines=1, elem_id="pm-registry-name")
            self._owner = gr.Textbox("", label="Owner (optional)", max_lines=1)
            self._tags = gr.Textbox("", label="Tags, comma-separated (optional)", max_lines=1)
            self._cropped = gr.Checkbox(label="The picture is the stamp alone, already cropped")
            self._add = gr.Button("Add", variant="primary", elem_id="pm-registry-add")

    def _change_form(self) -> None:
        with gr.Row(visible=False) as self._changing:
            with gr.Column():
                self._new_name = gr.Textbox(
                    "", label="Name of this stamp", max_lines=1, elem_id="pm-registry-new-name"
                )
                self._new_owner = gr.Textbox(
                    "", label="Whose it is", max_lines=1, elem_id="pm-registry-new-owner"
                )
                self._new_tags = gr.Textbox(
                    "", label="Its tags, comma-separated", elem_id="pm-registry-new-tags"
                )
                self._new_notes = gr.Textbox(
                    "", label="Notes", lines=2, elem_id="pm-registry-new-notes"
                )
                self._save = gr.Button("Save changes", elem_id="pm-registry-save")
            with gr.Column():
                self._others = gr.Dropdown(
                    [], label="Others that are the same stamp", multiselect=True
                )
                self._merge = gr.Button("Merge into this one", elem_id="pm-registry-merge")
            with gr.Column():
                self._retire = gr.Button(_RETIRE, elem_id="pm-registry-retire")
                with gr.Accordion("Split it", open=False) as self._parting:
                    self._leaving = gr.Dropdown(
                        [], label="Samples that are another stamp", multiselect=True
                    )
                    self._part_name = gr.Textbox(
                        "", label="Name of that stamp", max_lines=1, elem_id="pm-registry-part-name"
                    )
                    self._split = gr.Button("Split off", elem_id="pm-registry-split")
                with gr.Accordion("Remove it", open=False) as self._removing:
                    gr.HTML(views.notice("For good:", "its samples are removed with it."))
                    self._remove = gr.Button(
                        "Remove for good", variant="stop", elem_id="pm-registry-remove"
                    )

    def _wire(self, tab: gr.Tab, page: gr.Blocks) -> None:
        listed = [self._list, self._count, self._thumbnails]
        detail = [
            *(self._detail, self._changing, self._new_name, self._new_owner),
            *(self._new_tags, self._new_notes, self._others),
            *(self._parting, self._leaving, self._part_name),
            *(self._retire, self._removing, self._shown),
        ]
        everything = [self._said, *listed, *detail]
        # One after the other, so that the list is that of what was asked last.
        finding: dict[str, Any] = quiet() | {"concurrency_id": "list", "concurrency_limit": 1}
        asked = [self._search, self._list]
        self._search.change(self._find, asked, listed, trigger_mode="always_last", **finding)
        self._list.input(self._show, self._list, [self._said, *detail], **quiet())
        given = [self._file, self._name, self._owner, self._tags, self._cropped]
        self._add.click(self._add_stamps, given, [*everything, *given[:2]], **quiet())
        texts = [self._new_name, self._new_owner, self._new_tags, self._new_notes]
        editing = [self._shown, *texts, self._search]
        self._save.click(self._edit_design, editing, everything, **quiet())
        merging = [self._shown, self._others, self._search]
        self._merge.click(self._merge_designs, merging, everything, **quiet())
        splitting = [self._shown, self._leaving, self._part_name, self._search]
        self._split.click(self._split_design, splitting, everything, **quiet())
        shown = [self._shown, self._search]
        self._retire.click(self._retire_design, shown, everything, **quiet())
        self._remove.click(self._remove_design, shown, everything, **quiet())
        tab.select(self._find, asked, listed, **finding)
        page.load(self._greet, self._search, [self._adding, *listed], **finding)

    @property
    def _registry(self) -> Registry:
        return self._services.registry

    def _greet(self, text: str, request: gr.Request) -> Shown:
        found = self._find(text, None)
        # An empty registry begins with what it waits for.
        nothing = not found[self._list]["choices"]
        adding = gr.update(visible=role_of(request) == "write", open=nothing)
        return {self._adding: adding, **found}

    def _find(self, text: str, chosen: str | None) -> Shown:
        """The list of what is found, and how much that is of all."""
        none = gr.update(choices=[], value=None)
        try:
            found = self._registry.designs(text.strip(), limit=_LISTED)
            total = len(self._registry)
        except PlatemarkError as error:
            return {self._list: none, self._count: views.failure(error), self._thumbnails: ""}
        if not total:
            return {self._list: none, self._count: views.notice(*_NONE), self._thumbnails: ""}
        choices = [(f"{design.name} · {design.samples}", design.id) for design in found]
        kept = chosen if any(chosen == id_ for _, id_ in choices) else None
        more = f", the first {_LISTED} are shown" if len(found) == _LISTED < total else ""
        some = f"{len(found)} of {total}" if text.strip() else str(total)
        said = f'<p class="pm-hint" role="status">{some} known{more}</p>'
        return {
            self._list: gr.update(choices=choices, value=kept),
            self._count: said,
            self._thumbnails: views.thumbnails("pm-registry-list", map(self._thumbnail, found)),
        }

    def _thumbnail(self, design: Design) -> str:
        """The first sample of a design in small, as an address; empty where there is none."""
        samples = self._registry.samples(design.id)
        return self._small(samples[0].id) if samples else ""

    def _read_small(self, sample: str) -> str:
        crop = self._picture(sample)
        return "" if crop is None else views.thumbnail(crop)

    def _show(self, chosen: str | None, request: gr.Request) -> Shown:
        if chosen is None:
            return {self._said: "", **self._nothing()}
        try:
            return {self._said: "", **self._details(chosen, role_of(request) == "write")}
        except PlatemarkError as error:
            return {self._said: views.failure(error), **self._nothing()}

    def _nothing(self) -> Shown:
        return {
            self._detail: views.empty("registry", *_CHOOSE),
            self._changing: gr.update(visible=False),
            self._shown: None,
        }

    def _details(self, ref: str, may_write: bool) -> Shown:
        registry = self._registry
        design = registry.design(ref)
        samples = registry.samples(design.id)
        some = [(sample, self._picture(sample.id)) for sample in samples[:_SHOWN_SAMPLES]]
        others = [
            (other.name, other.id)
            for other in registry.designs(limit=_MERGEABLE)
            if other.id != design.id
        ]
        return {
            self._detail: views.design(design, some, max(0, len(samples) - _SHOWN_SAMPLES)),
            self._changing: gr.update(visible=may_write),
            self._new_name: design.name,
            self._new_owner: design.owner,
            self._new_tags: ", ".join(design.tags),
            self._new_notes: design.notes,
            self._others: gr.update(choices=others, value=[]),
            self._parting: gr.update(open=False),
            self._leaving: gr.update(choices=views.sample_choices(samples), value=[]),
            self._part_name: "",
            self._retire: _REINSTATE if design.retired else _RETIRE,
            self._removing: gr.update(open=False),
            self._shown: design.id,
        }

    def _picture(self, sample: str) -> InkCrop | None:
        try:
            return self._registry.picture(sample)
        except RegistryError:
            return None

    def _add_stamps(
        self,
        path: str | None,
        name: str,
        owner: str,
        tags: str,
        cropped: bool,
        request: gr.Request,
    ) -> Shown:
        """Add every stamp that a picture or document shows."""

        def work() -> tuple[str, str]:
            if path is None or not name.strip():
                missing = "a picture" if path is None else "a name"
                raise NoStampFound(f"give {missing} too")
            where = Where(whole=cropped)
            terms = Terms(_tags(tags), owner.strip())
            added = self._added(Path(path), name, where, terms)
            alike = sorted({one.alike[0].design.name for one in added if one.alike})
            new = sum(one.new_sample for one in added)
            said = f"{new} new {'sample' if new == 1 else 'samples'}."
            if new < len(added):
                said += f" {len(added) - new} had been there."
            if alike:
                said += f" It resembles a stamp that is known as {', '.join(alike)}."
            return added[0].design.id, views.notice(f"{added[0].design.name}:", said, "good")

        shown = self._changed(request, "", work)
        done = self._shown in shown
        return {**shown, self._file: None, self._name: ""} if done else shown

    def _added(self, path: Path, name: str, where: Where, terms: Terms) -> list[Added]:
        """Add the stamps of a file.

        Raises:
            PlatemarkError: Nothing was added.
        """
        services, found = self._services, []
        pipeline, pages = services.finder(read=True), documents.pages_of(self._services, path)
        with services.work.admit():
            while pages.left != 0:
                found.append(services.work.call(lambda: stamps_of(pipeline, next(pages), where)))
            add = partial(add_stamps, self._registry, pipeline, found, name, terms)
            done = services.work.call(add)
        added = [one for page in done for one in page.added]
        errors = [page.error for page in done] + [s.error for page in done for s in page.stamps]
        for error in errors:
            if error is not None and not added:
                raise error
        return added

    def _edit_design(
        self,
        chosen: str | None,
        name: str,
        owner: str,
        tags: str,
        notes: str,
        text: str,
        request: gr.Request,
    ) -> Shown:
        def work() -> tuple[str, str]:
            said = {"owner": owner.strip(), "notes": notes.strip()}
            design = self._registry.update(_one(chosen), name=name, tags=_tags(tags), **said)
            return design.id, views.notice("Saved.", f"{design.name} is as you said.", "good")

        return self._changed(request, text, work)

    def _merge_designs(
        self, chosen: str | None, others: list[str], text: str, request: gr.Request
    ) -> Shown:
        def work() -> tuple[str, str]:
            design = self._registry.merge(_one(chosen), *others)
            said = f"{design.name} has {design.samples} samples now."
            return design.id, views.notice("Merged.", said, "good")

        return self._changed(request, text, work)

    def _split_design(
        self,
        chosen: str | None,
        leaving: list[str],
        name: str,
        text: str,
        request: gr.Request,
    ) -> Shown:
        def work() -> tuple[str, str]:
            split = self._registry.split(_one(chosen), leaving, name)
            said = f"{split.name} is a stamp of its own now."
            return split.id, views.notice("Split.", said, "good")

        return self._changed(request, text, work)

    def _retire_design(self, chosen: str | None, text: str, request: gr.Request) -> Shown:
        def work() -> tuple[str, str]:
            design = self._registry.design(_one(chosen))
            if design.retired:
                self._registry.reinstate(design.id)
                return design.id, views.notice(f"{design.name}", "is searched for again.", "good")
            self._registry.retire(design.id)
            return design.id, views.notice(f"{design.name}", "is no longer searched for.", "good")

        return self._changed(request, text, work)

    def _remove_design(self, chosen: str | None, text: str, request: gr.Request) -> Shown:
        def work() -> tuple[None, str]:
            design = self._registry.remove(_one(chosen))
            return None, views.notice("Removed:", design.name, "good")

        return self._changed(request, text, work)

    def _changed(
        self, request: gr.Request, text: str, work: Callable[[], tuple[str | None, str]]
    ) -> Shown:
        """Change the registry, and show it as it is then.

        Args:
            request: Of whom.
            text: What is searched for.
            work: The change; returns the id of the design to show, if any, and what to say of it.
        """
        try:
            check_may_write(request)
            chosen, said = work()
            details = self._nothing() if chosen is None else self._details(chosen, True)
            return {self._said: said, **self._find(text, chosen), **details}
        except PlatemarkError as error:
            return {self._said: views.failure(error)}


def _tags(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _one(chosen: str | None) -> str:
    if chosen is None:
        raise NoStampFound("choose a stamp first")
    return chosen
