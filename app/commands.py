"""Every command once: menus, context menus, shortcuts, the palette, tooltips and the page of keys are made from it.

A handler is the name of a method: 'window.x', 'rescue.x', 'tree.x', 'records.x', 'record.x' or 'review.x'. A
condition reads a Context, never a widget. Keys that are a single letter act only where no text field has
the focus; a command with `on` set has its keys only where the focus is in that place (PLACES). A single letter or digit
that changes something has such a place, the list or card that shows what it changes; those that navigate have the whole
page or window. Keys of a page (PAGE_OF) come before the same keys of the window while it is shown. A user may give commands
other keys (keys.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from errormap_core.sentences import Sentence, tr


@dataclass(frozen=True, slots=True)
class Context:
    """What can be done depends on this alone."""

    is_open: bool = False
    can_edit: bool = False
    n_categories: int = 0
    n_movable: int = 0
    n_failures: int = 0
    has_record: bool = False
    has_proposal: bool = False
    n_pending: int = 0
    page: str = ""
    proposal_kind: str = ""
    can_decide: bool = False
    n_selected: int = 0
    has_edit: bool = False
    undo: str = ""
    redo: str = ""
    is_judging: bool = False
    is_proposing: bool = False
    is_importing: bool = False
    is_comparing: bool = False
    is_checking: bool = False
    is_working: bool = False
    can_pause: bool = False
    is_paused: bool = False


When = Callable[[Context], bool]


def always(_: Context) -> bool:
    return True


def opened(c: Context) -> bool:
    return c.is_open


def editable(c: Context) -> bool:
    return c.can_edit


def one_category(c: Context) -> bool:
    return c.can_edit and c.n_categories == 1


def one_movable(c: Context) -> bool:
    return c.can_edit and c.n_categories == 1 and c.n_movable == 1


def movable(c: Context) -> bool:
    return c.can_edit and c.n_movable >= 1


def mergeable(c: Context) -> bool:
    return c.can_edit and c.n_categories >= 2


def failures(c: Context) -> bool:
    return c.can_edit and c.n_failures >= 1


def proposal(c: Context) -> bool:
    return c.can_edit and c.can_decide and c.page == "review"


def question(c: Context) -> bool:
    return proposal(c) and c.proposal_kind == "place" and c.n_selected < 2


def no_question(c: Context) -> bool:
    return proposal(c) and (c.proposal_kind != "place" or c.n_selected > 1)


def editable_card(c: Context) -> bool:
    return no_question(c) and c.n_selected < 2


def one_card(c: Context) -> bool:
    return reviewing(c) and c.has_proposal and c.n_selected < 2


def with_digits(c: Context) -> bool:
    return proposal(c) and c.n_selected < 2 and c.proposal_kind in ("place", "merge", "split", "create", "assign")


def splitting(c: Context) -> bool:
    return one_card(c) and proposal(c) and c.proposal_kind == "split"


def reviewing(c: Context) -> bool:
    return c.is_open and c.page == "review"


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `menu` is where it stands ('' only in the palette), `in_context` the context menus that show it."""

    id: str
    title: Sentence
    handler: str
    tip: Sentence
    menu: str = ""
    keys: tuple[str, ...] = ()
    when: When = always
    icon: str = ""
    in_context: tuple[str, ...] = ()
    on: str = ""
    starts_group: bool = False
    submenu: Sentence | None = None

    @property
    def name(self) -> str:
        """The title without what only menus need."""
        return str(self.title).replace("&", "").rstrip("…")


PLACES: dict[str, Sentence] = {
    "tree": tr("the taxonomy"),
    "records": tr("the list of failures and the record"),
    "review": tr("the page Review"),
    "card": tr("the list of proposals and the card"),
}
"""Values of `on`: where a command has its keys, as sentences call it."""

PAGE_OF = {"review": "review", "card": "review"}
"""Places that belong to a page: their keys come before those of the window while the page is shown."""

MENUS: dict[str, Sentence] = {
    "file": tr("&File"),
    "edit": tr("&Edit"),
    "taxonomy": tr("&Taxonomy"),
    "records": tr("&Records"),
    "review": tr("Re&view"),
    "judge": tr("&Judge"),
    "view": tr("Vie&w"),
    "help": tr("&Help"),
}

COMMANDS: tuple[Command, ...] = (
    Command("file.new", tr("&New project…"), "window.new", tr("Make an empty project"), "file", ("Ctrl+N",), icon="file-plus"),
    Command("file.open", tr("&Open…"), "window.open", tr("Open a project"), "file", ("Ctrl+O",), icon="folder-open"),
    Command("file.sample", tr("Open the &sample"), "window.open_sample", tr("Open your copy of the sample project"), "file", icon="flask"),
    Command("file.import", tr("&Import…"), "window.import_results", tr("Bring results (CSV) or an atlas (JSON) into the project"),
            "file", ("Ctrl+I",), lambda c: c.can_edit and not c.is_importing, "download-simple", starts_group=True),
    Command("file.export", tr("&Export atlas…"), "window.export_atlas", tr("Write the atlas as JSON"), "file", ("Ctrl+E",), opened, "export"),
    Command("file.copy", tr("Sa&ve a copy…"), "window.save_copy", tr("Write the whole project into a new file, also while work runs"),
            "file", ("Ctrl+Shift+S",), opened, "copy"),
    Command("file.restore", tr("Restore a &backup…"), "rescue.restore", tr("Put an earlier state of a project back; what is there now is kept"),
            "file", when=lambda c: not c.is_working, icon="clock-counter-clockwise", starts_group=True),
    Command("file.repair", tr("Repa&ir into a copy…"), "rescue.repair", tr("Save what can be read of a damaged project into a new file"), "file",
            when=lambda c: not c.is_working, icon="first-aid"),
    Command("file.close", tr("&Close project"), "window.close_project", tr("Close the project; everything is saved already"),
            "file", ("Ctrl+W",), opened, starts_group=True),
    Command("file.settings", tr("Se&ttings…"), "window.settings", tr("Your settings, and those of the project"), "file", ("Ctrl+,",), icon="gear"),
    Command("file.quit", tr("&Quit"), "window.close", tr("End ErrorMap Studio"), "file", ("Ctrl+Q",)),
    Command("edit.undo", tr("&Undo"), "window.undo", tr("Take back the last step"), "edit", ("Ctrl+Z",),
            lambda c: c.can_edit and bool(c.undo), "arrow-counter-clockwise"),
    Command("edit.redo", tr("&Redo"), "window.redo", tr("Take again what was undone"), "edit", ("Ctrl+Shift+Z", "Ctrl+Y"),
            lambda c: c.can_edit and bool(c.redo), "arrow-clockwise"),
    Command("edit.find", tr("&Find in this list"), "window.find", tr("Search the failures that are shown"), "edit", ("Ctrl+F", "/"), opened,
            "magnifying-glass", starts_group=True),
    Command("taxonomy.add", tr("&Add category"), "tree.add_category", tr("Add a category beside the selected one"), "taxonomy",
            ("Ctrl+Shift+N",), editable, "plus", ("tree",)),
    Command("taxonomy.add_child", tr("Add category &below"), "tree.add_child", tr("Add a category below the selected one"), "taxonomy",
            (), one_category, "tree-structure", ("tree",)),
    Command("taxonomy.rename", tr("&Rename"), "tree.rename", tr("Give the category another name"), "taxonomy", ("F2",), one_movable,
            "pencil-simple", ("tree",), starts_group=True),
    Command("taxonomy.describe", tr("&Describe…"), "tree.describe", tr("Write description and notes of the category"), "taxonomy",
            ("Ctrl+D",), one_category, "note-pencil", ("tree",)),
    Command("taxonomy.merge", tr("&Merge…"), "tree.merge", tr("Put the selected categories into one"), "taxonomy", ("Ctrl+M",), mergeable,
            "git-merge", ("tree",), starts_group=True),
    Command("taxonomy.split", tr("&Split…"), "tree.split", tr("Make new categories of some of its failures or children"), "taxonomy",
            ("Ctrl+Shift+M",), one_category, "git-fork", ("tree",)),
    Command("taxonomy.delete", tr("De&lete"), "tree.delete", tr("Take the category away; its failures go to the parent, or to Other"),
            "taxonomy", ("Del",), movable, "trash", ("tree",), on="tree"),
    Command("taxonomy.up", tr("Move &up"), "tree.move_up", tr("Put the category before the one above it"), "taxonomy", ("Alt+Up",), one_movable,
            "arrow-up", starts_group=True),
    Command("taxonomy.down", tr("Move do&wn"), "tree.move_down", tr("Put the category behind the one below it"), "taxonomy", ("Alt+Down",),
            one_movable, "arrow-down"),
    Command("taxonomy.in", tr("Move &in"), "tree.move_in", tr("Put the category below the one before it"), "taxonomy", ("Alt+Right",), one_movable,
            "arrow-right"),
    Command("taxonomy.out", tr("Move &out"), "tree.move_out", tr("Put the category beside its parent"), "taxonomy", ("Alt+Left",), one_movable,
            "arrow-left"),
    Command("taxonomy.place", tr("&Place the unplaced…"), "window.place_unplaced",
            tr("Propose a category that is there for each diagnosed failure without one"), "taxonomy", ("Ctrl+Shift+U",),
            lambda c: c.can_edit and not c.is_proposing, "push-pin", starts_group=True),
    Command("taxonomy.expand", tr("E&xpand all"), "tree.expand_all", tr("Show all categories"), "taxonomy", (), opened, starts_group=True),
    Command("taxonomy.collapse", tr("&Collapse all"), "tree.collapse_all", tr("Show top categories only"), "taxonomy", (), opened),
    Command("taxonomy.filter", tr("&Find a category"), "tree.focus_filter", tr("Type to find a category"), "taxonomy", ("Ctrl+Shift+F",), opened),
    Command("records.next", tr("&Next record"), "records.next", tr("Show the next failure of the list"), "records", ("J",), opened, "caret-down"),
    Command("records.previous", tr("&Previous record"), "records.previous", tr("Show the failure before"), "records", ("K",), opened, "caret-up"),
    Command("records.place", tr("P&lace in a category…"), "records.place", tr("Say where the selected failures belong"), "records", ("P",),
            failures, "push-pin", ("records", "record"), starts_group=True, on="records"),
    Command("records.take_out", tr("&Take out of its category"), "records.take_out", tr("Take the selected failures out of their category"),
            "records", (), failures, "", ("records",), on="records"),
    Command("records.exclude", tr("E&xclude as junk"), "records.exclude", tr("Leave the selected records out of all counts"), "records", (),
            failures, "prohibit", ("records",), starts_group=True, on="records"),
    Command("records.dispute", tr("&Dispute"), "records.dispute", tr("Reference, score or question is at fault; counted beside"), "records",
            ("F",), failures, "flag", ("records",), on="records"),
    Command("records.include", tr("&Count again"), "records.include", tr("Neither excluded nor disputed"), "records", (), failures, "",
            ("records",), on="records"),
    Command("records.analyse", tr("&Write an analysis…"), "records.analyse", tr("Say yourself what went wrong; it counts before any judge's"),
            "records", ("A",), lambda c: c.can_edit and c.has_record, "pencil-simple", ("records", "record"), starts_group=True, on="records"),
    Command("records.note", tr("N&ote…"), "records.note", tr("Write a note on the record"), "records", (), lambda c: c.can_edit and c.has_record,
            "note", ("records", "record"), on="records"),
    Command("records.analyse_now", tr("Anal&yse this one now"), "window.analyse_now",
            tr("The judge takes what you read or selected next, before all others"), "records", ("N",), failures, "lightning",
            ("records", "record"), on="records"),
    Command("review.accept", tr("&Accept"), "review.accept", tr("It is done as the card shows it, and the next one comes; of a question the likeliest answer"),
            "review", ("Return", "Enter"), proposal, "check", ("review",), "card"),
    Command("review.edit", tr("&Edit"), "review.edit", tr("Change what the card shows; Enter then accepts it so"), "review", ("E",),
            editable_card, "pencil-simple", ("review",), "card"),
    Command("review.reject", tr("&Reject"), "review.reject", tr("Do not propose this again"), "review", ("X",), no_question, "x", ("review",), "card"),
    *(Command(f"review.nth_{n}", tr("Number {n}", n=n), f"review.nth_{n}",
              tr("The failure belongs in number {n}; of other proposals leave number {n} out, or take it in again", n=n), "review", (str(n),),
              with_digits, on="card", submenu=tr("Ans&wer by number")) for n in range(1, 10)),
    Command("review.find", tr("&Find the category…"), "review.find_category", tr("The failure belongs in another category: type to find it"), "review", ("/",),
            question, "magnifying-glass", ("review",), "card", starts_group=True),
    Command("review.new", tr("&New category"), "review.new", tr("The failure belongs in a category that is not there: name it"), "review", ("N",),
            question, "plus", ("review",), "card"),
    Command("review.same", tr("These are the &same…"), "review.same",
            tr("Some of the likely categories mean the same: mark them; they are merged into the one that you choose then"), "review", ("M",),
            question, "git-merge", ("review",), "card"),
    Command("review.unsure", tr("&Unsure"), "review.unsure", tr("Set it aside: you cannot tell"), "review", ("U",), proposal, "question", ("review",),
            "card", starts_group=True),
    Command("review.skip", tr("&Skip"), "review.skip", tr("Decide later"), "review", ("S",), proposal, "skip-forward", ("review",), "card"),
    Command("review.flag", tr("F&lag"), "review.flag", tr("Set it aside to be talked about"), "review", ("F",), proposal, "flag", ("review",), "card"),
    Command("review.details", tr("Show the next &detail"), "review.details", tr("Question, reference, correct answers: one after the other"), "review",
            ("Space",), lambda c: reviewing(c) and c.proposal_kind == "place", "", ("review",), "review"),
    Command("review.refresh", tr("Refres&h"), "review.refresh", tr("Show the proposal as it would be in the tree as it is now"), "review", ("R",),
            one_card, "arrow-clockwise", ("review",), "review"),
    Command("review.drop", tr("&Drop the edit"), "review.drop_edit", tr("Show it as it is proposed, without what you changed on its card"), "review",
            ("D",), lambda c: proposal(c) and c.has_edit and c.n_selected < 2, "eraser", ("review",), "card"),
    Command("review.part_next", tr("Ne&xt part"), "review.part_next", tr("Move the selected failures of a split into the next part"),
            "review", ("Ctrl+Right",), splitting, on="card", submenu=tr("Move in a spl&it")),
    Command("review.part_previous", tr("&Part before"), "review.part_previous",
            tr("Move the selected failures of a split into the part before"), "review", ("Ctrl+Left",), splitting, on="card",
            submenu=tr("Move in a spl&it")),
    Command("review.part_new", tr("&New part"), "review.part_new", tr("Make a new part of the selected failures of a split"), "review",
            ("Ctrl+Shift+Right",), splitting, on="card", submenu=tr("Move in a spl&it")),
    Command("review.part_back", tr("&Back"), "review.part_back", tr("Let the selected failures of a split stay in the category"), "review",
            ("Ctrl+Shift+Left",), splitting, on="card", submenu=tr("Move in a spl&it")),
    Command("review.filter", tr("Fil&ter the list"), "review.filter", tr("Choose what the list shows: kinds first, Tab goes to states, worth, age"),
            "review", ("T",), reviewing, "funnel", on="review"),
    Command("review.next", tr("Ne&xt proposal"), "review.next", tr("Show the next one; this one is not decided"), "review", ("J",), reviewing,
            "caret-down", on="review", starts_group=True),
    Command("review.previous", tr("&Previous proposal"), "review.previous", tr("Show the one before"), "review", ("K",), reviewing, "caret-up",
            on="review"),
    Command("review.first", tr("&Jump to the first"), "review.first", tr("Show the most worthwhile of those that wait"), "review", ("Home",), reviewing,
            "arrow-line-up", on="review"),
    Command("review.select_all", tr("Select all in the lis&t"), "review.select_all", tr("Decide all that the list shows in one step, after a preview"),
            "review", ("Ctrl+A",), reviewing, on="review"),
    Command("review.accept_all", tr("Accept all ne&w categories and places"), "review.accept_all",
            tr("All proposed categories and places are accepted in one step that can be undone; what you skipped is left out"), "review",
            ("Ctrl+Return",), lambda c: c.can_edit and c.page == "review" and c.n_pending > 0, "checks", on="card", starts_group=True),
    Command("judge.run", tr("&Run the judge…"), "window.run_judge", tr("Diagnose the failures that wait"), "judge", ("Ctrl+J",),
            lambda c: c.can_edit and not c.is_judging, "robot"),
    Command("judge.propose", tr("&Propose categories"), "window.propose", tr("Embed the analyses and group them into proposals"), "judge",
            ("Ctrl+P",), lambda c: c.can_edit and not c.is_proposing, "lightbulb"),
    Command("judge.gold", tr("Compare with &gold"), "window.compare_with_gold", tr("How close tree and analyses come to what people wrote as the key"),
            "judge", ("Ctrl+G",), lambda c: c.is_open and not c.is_comparing, "scales", starts_group=True),
    Command("judge.judges", tr("&Judges"), "window.page_judges", tr("Every judge's run: what it cost, which counts, how two agree"),
            "judge", ("G, J",), opened, "users"),
    Command("judge.check", tr("&Check judges"), "window.check_judges", tr("All judges against gold and against what people reviewed"),
            "judge", ("Ctrl+Shift+J",), lambda c: c.is_open and not c.is_checking, "medal"),
    Command("records.why", tr("&Why this analysis…"), "records.why", tr("What wrote it: model, prompt, parameters, and its answer word for word"),
            "judge", ("W",), lambda c: c.is_open and c.has_record, "question", ("records", "record"), starts_group=True),
    Command("judge.models", tr("&Models"), "window.page_models", tr("The models that can judge here: what they are, memory, speed"),
            "judge", ("G, M",), opened, "cpu"),
    Command("judge.prompts", tr("Promp&ts"), "window.page_prompts", tr("What the judge is told; prompts of your own, and what each makes of a record"),
            "judge", ("G, P",), opened, "chat-text"),
    Command("judge.pause", tr("Pa&use"), "window.pause_judge", tr("Let the judge rest, or go on; what it has begun is kept"), "judge",
            ("Ctrl+Shift+P",), lambda c: c.can_pause, "pause", starts_group=True),
    Command("judge.stop", tr("&Stop"), "window.stop_work", tr("Stop the work that runs; it can go on later"), "judge", ("Ctrl+.",),
            lambda c: c.is_working, "stop"),
    Command("view.review", tr("&Review"), "window.page_review", tr("The proposals that wait for a decision"), "view", ("Ctrl+1", "G, V"), icon="checks"),
    Command("view.records", tr("Re&cords"), "window.page_records", tr("The failures of the selected category"), "view", ("Ctrl+2", "G, R"), icon="rows"),
    Command("view.signatures", tr("&Signatures"), "window.page_signatures", tr("Shares of the categories by model"), "view", ("Ctrl+3", "G, S"),
            icon="chart-bar"),
    Command("view.history", tr("&History"), "window.page_history", tr("Every step that was taken"), "view", ("Ctrl+4", "G, H"),
            icon="clock-counter-clockwise"),
    Command("view.gold", tr("&Gold"), "window.page_gold", tr("How close tree and analyses come to gold"), "view", ("Ctrl+5", "G, O"), icon="scales"),
    Command("view.tree", tr("&Taxonomy pane"), "window.toggle_tree", tr("Hide the taxonomy, or bring it back"), "view", ("F6",), starts_group=True),
    Command("view.record", tr("R&ecord pane"), "window.toggle_record", tr("Hide the record, or bring it back"), "view", ("F7",)),
    Command("view.larger", tr("&Larger text"), "window.larger", tr("Make all text larger"), "view", ("Ctrl++", "Ctrl+="), starts_group=True),
    Command("view.smaller", tr("S&maller text"), "window.smaller", tr("Make all text smaller"), "view", ("Ctrl+-",)),
    Command("view.dark", tr("Light or &dark"), "window.toggle_scheme", tr("Change between the light and the dark colours"), "view", ("Ctrl+Shift+L",),
            icon="moon"),
    Command("help.palette", tr("&Commands…"), "window.palette", tr("Type to find a command"), "help", ("Ctrl+K",), icon="command"),
    Command("help.keys", tr("&Keys"), "window.keys", tr("All keys"), "help", ("?", "F1"), icon="keyboard"),
    Command("help.about", tr("&About"), "window.about", tr("Version, licences, what llama.cpp can do here"), "help"),
)  # fmt: skip

BY_ID = {command.id: command for command in COMMANDS}
