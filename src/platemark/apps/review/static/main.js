// The review: opens images, keeps what is changed, and does what keys and buttons ask for.
import { Outbox, Refused, ask } from "./api.js";
import { HINTS, KEYS, meaning } from "./keys.js";
import { Panel, counterpart, element } from "./panel.js";
import { Queue, put, showState, statusWord } from "./queue.js";
import { Stage, cornersOf, fault, moveCorner, place, shift } from "./stage.js";

const by = (id) => document.getElementById(id);
const POLL = 3000, IDLE = 600, REMEMBERED = "platemark-review annotator";

const setup = await ask("setup");
const annotator = by("annotator");
annotator.value = new URLSearchParams(location.search).get("annotator") || localStorage.getItem(REMEMBERED) || setup.annotator;
const who = () => annotator.value.trim() || setup.annotator;

/** The image that is open, as the server told of it, and what is marked in it now. */
let item = null, marks = [], chosen = -1, corner = null, modelShown = true;
const visited = [];
let position = -1;

const stage = new Stage(by("stage"), {
  chosen: choose,
  moved: () => { draw(); if (marks[chosen]) panel.drawCrop(marks[chosen]); },
  dropped: () => { panel.settle(); changed(); },
  drawn: (box) => addMark(box),
});
const panel = new Panel(setup, { typed: draw, settled: changed, chosen: (index) => choose(index, null) });
const queue = new Queue((image) => visit(image));
const outbox = new Outbox(setup.id, {
  saved(image, answer, last) {
    if (image === item?.id && last) {
      item = { ...item, ...answer };
      caption();
      conflicts();
    }
  },
  async refused(image, error) {
    if (error.status === 409 && image === item?.id) await open(image);
    else notice(error.status === 409 ? "Somebody else was quicker." : "Not saved.", error.message);
    if (error.status === 409) queue.load();
  },
  state(text, bad) {
    put(by("saved"), text);
    by("saved").classList.toggle("bad", bad);
  },
});

function clone(value) { return structuredClone(value); }

/** Show an image and remember that it was. */
async function visit(image) {
  panel.settle();
  if (visited[position] !== image) {
    visited.splice(position + 1, visited.length, image);
    position = visited.length - 1;
  }
  await open(image);
}

async function open(image) {
  queue.mark(image);
  if (outbox.holds(image)) await outbox.flush();
  const opened = await ask(`images/${image}?annotator=${encodeURIComponent(who())}`);
  // What was changed since it was asked for is newer.
  const changing = item?.id === image && (panel.typing || stage.busy || outbox.holds(image));
  if (visited[position] !== image || changing || opened.version < outbox.version(image)) return;
  const another = item?.id !== image;
  adopt(opened);
  if (another) {
    by("notices").replaceChildren();
    history.replaceState(null, "", `${location.pathname}${location.search}#${image}`);
    panel.blind();
    if (!item.error) stage.open(`api/images/${image}/picture`, [item.width, item.height]);
  }
  if (item.error) notice("This image cannot be shown.", `${item.error.message}. The others go on.`);
  conflicts();
}

/** Take what the server says of the image that is open. */
function adopt(told) {
  const same = told.id === item?.id;
  item = { ...(same ? item : {}), ...told };
  const blank = by("blank");
  blank.hidden = !item.error;
  blank.textContent = item.error ? item.error.message : "";
  marks = item.error ? [] : [...clone(item.marks), ...item.ignore.map((box) => ({ box: [...box], quad: null, out: true }))];
  if (!item.error) outbox.know(item.id, item.version);
  chosen = same ? Math.min(chosen, marks.length - 1) : doubtful();
  corner = null;
  for (const { identity } of marks) if (identity) offer(identity);
  show();
}

/** The mark of which the model is least certain. */
function doubtful() {
  const score = (mark) => {
    const same = mark.out ? undefined : counterpart(mark, item.prediction);
    return same ? same.scores.score * (setup.kind === "plate" ? same.scores.text_score : 1) : mark.out ? 2 : 0;
  };
  const scores = marks.map(score);
  return scores.indexOf(Math.min(...scores));
}

function offer(identity) {
  const known = by("identities");
  if (![...known.options].some(({ value }) => value === identity)) {
    const made = element("option", "");
    made.value = identity;
    known.append(made);
  }
}

function draw() {
  const model = modelShown && item && !item.suggested ? modelMarks() : [];
  const proposed = (item?.proposals || []).flatMap((one) => one.marks);
  stage.draw({ marks, model: [...model, ...proposed], chosen, corner, suggested: Boolean(item?.suggested) });
}

/** The model's marks that are not marked in the same place. */
function modelMarks() {
  return (item.prediction?.marks || []).filter((one) => !marks.some((mark) => counterpart(mark, { marks: [one], scores: [{}] })));
}

function show() {
  caption();
  draw();
  panel.show({ marks, chosen, prediction: item?.prediction, suggested: Boolean(item?.suggested) });
}

function caption() {
  put(by("name"), item ? item.image : "");
  const status = item ? statusWord(item.status) : "";
  put(by("status"), item?.suggested ? `${status}, marked by the model` : status);
  by("status").className = `badge ${item?.status || ""}`;
  put(by("others"), item?.others?.length ? `${item.others.join(", ")} has it open too` : "");
  for (const [name, can] of [["undo", item?.can_undo], ["redo", item?.can_redo], ["accept", item && !item.error], ["reject", item && !item.error]]) {
    document.querySelector(`[data-do=${name}]`).disabled = !can;
  }
  document.title = item ? `${item.image.split("/").pop()} – platemark review` : "platemark review";
}

function notice(title, text, buttons = [], more = []) {
  const made = element("div", "", "pm-notice bad"), inner = element("div", "");
  made.setAttribute("role", "alert");
  inner.append(element("b", title), ` ${text}`, ...more);
  if (buttons.length) {
    const row = element("div", "", "pm-acts");
    row.append(...buttons);
    inner.append(row);
  }
  made.append(inner);
  by("notices").replaceChildren(made);
}

/** Show both versions where somebody else was quicker. */
function conflicts() {
  const waiting = item?.proposals?.[0];
  if (!waiting) {
    if (by("notices").querySelector("[data-conflict]")) by("notices").replaceChildren();
    return;
  }
  const list = element("ul", "");
  list.append(
    element("li", `Counts now, by ${item.annotator || "the manifest"}: ${described(item.marks, item.status)}`),
    element("li", `Also kept, by ${waiting.annotator}: ${described(waiting.marks, waiting.action)}`),
  );
  const keep = element("button", "Keep what counts"), take = element("button", `Take that of ${waiting.annotator}`);
  keep.addEventListener("click", () => settleConflict(false));
  take.addEventListener("click", () => settleConflict(true));
  keep.append(element("kbd", "Alt 1"));
  take.append(element("kbd", "Alt 2"));
  notice("Two versions.", "Both are kept; choose one.", [keep, take], [list]);
  by("notices").firstElementChild.dataset.conflict = waiting.number;
}

function described(some, status) {
  const said = some.map(({ text, box }) => `${text || "no text"} at ${Math.round(box[0])}, ${Math.round(box[1])}`);
  return `${said.join("; ") || "nothing marked"} (${statusWord(status)})`;
}

async function settleConflict(take) {
  const waiting = item?.proposals?.[0];
  if (!waiting) return;
  if (take) {
    marks = [...clone(waiting.marks), ...waiting.ignore.map((box) => ({ box, quad: null, out: true }))];
    chosen = Math.min(chosen, marks.length - 1);
    save(waiting.action, [waiting.number]);
    show();
  } else {
    adopt(await ask(`images/${item.id}/proposals/${waiting.number}/discard`, "POST", { annotator: who() }));
    conflicts();
  }
  queue.load();
}

function choose(index, which) {
  panel.settle();
  chosen = index;
  corner = which;
  show();
}

/** Keep what is marked now, where it can be kept; says whether it can. */
function save(action, resolves = []) {
  const wrong = marks.map(fault).find(Boolean);
  if (wrong) {
    put(by("saved"), `Not saved: ${wrong}`);
    by("saved").classList.add("bad");
    return false;
  }
  item.suggested = false;
  const plain = clone(marks.filter(({ out }) => !out));
  outbox.put(item.id, { annotator: who(), action, marks: plain, ignore: marks.filter(({ out }) => out).map(({ box }) => box), resolves });
  return true;
}

function changed() {
  if (!item || item.error) return;
  save("edit");
  show();
}

function addMark(box) {
  if (!item || item.error) return;
  const plate = { text: null, region: null, lines: null, obscured: null };
  const stamp = { text: null, shape: null, color: null, rotation: null, identity: null, lines: [], mask: null };
  marks.push({ box, quad: null, ...(setup.kind === "plate" ? plate : stamp) });
  chosen = marks.length - 1;
  corner = null;
  changed();
}

async function finish(action) {
  if (!item || item.error) return;
  panel.forget(); // one change for what was typed and for this
  document.activeElement?.blur?.();
  if (save(action)) await go.next();
}

async function step(way) {
  if (!item || item.error) return;
  panel.settle();
  await outbox.flush();
  try {
    adopt(await ask(`images/${item.id}/${way}`, "POST", { base: outbox.version(item.id), annotator: who() }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await open(item.id);
    notice("Not undone.", error.message);
  }
}

function chosenMark() { return marks[chosen]; }

function nudge(way, size) {
  const mark = chosenMark();
  if (!mark) return;
  const corners = cornersOf(mark);
  if (size) {
    const [x1, y1] = [mark.box[2] + way[0], mark.box[3] + way[1]];
    if (mark.quad) {
      const [x0, y0, ox, oy] = mark.box, sx = (x1 - x0) / (ox - x0), sy = (y1 - y0) / (oy - y0);
      place(mark, corners.map(([x, y]) => [x0 + (x - x0) * sx, y0 + (y - y0) * sy]), true);
    } else moveCorner(mark, 2, [x1, y1]);
  } else if (corner !== null) {
    moveCorner(mark, corner, corners[corner].map((value, axis) => Math.min(item[axis ? "height" : "width"], Math.max(0, value + way[axis]))));
  } else shift(mark, corners, way, [item.width, item.height]);
  changed();
}

/** Load the picture that comes next while this one is being corrected. */
function foresee() {
  clearTimeout(foresee.timer);
  foresee.timer = setTimeout(async () => {
    const current = item?.id ?? null;
    const { id } = await ask("next", "POST", { annotator: who(), seen: visited.slice(-2000), current }).catch(() => ({}));
    if (id && id !== current) new Image().src = `api/images/${id}/picture`;
  }, IDLE);
}

const go = {
  async next() {
    if (position + 1 < visited.length) {
      position += 1;
      await open(visited[position]);
      return;
    }
    const { id } = await ask("next", "POST", { annotator: who(), seen: visited.slice(-2000), current: item?.id ?? null });
    if (id) await visit(id);
    else {
      await outbox.flush();
      if (item) await open(item.id);
      const made = element("div", "", "pm-notice good");
      made.append(element("b", "All images are reviewed."));
      by("notices").replaceChildren(made);
    }
    queue.later();
    foresee();
  },
  async previous() {
    panel.settle();
    if (position > 0) {
      position -= 1;
      await open(visited[position]);
    }
  },
};

/** What keys and buttons do, by the names in keys.js. */
const actions = {
  accept: () => finish("accept"),
  reject: () => finish("reject"),
  next: () => { panel.settle(); return go.next(); },
  previous: () => go.previous(),
  undo: () => step("undo"),
  redo: () => step("redo"),
  box() {
    if (!item || item.error) return;
    const [x, y] = stage.middle(), half = [item.width / 10, item.height / (setup.kind === "plate" ? 30 : 10)];
    addMark([Math.max(0, x - half[0]), Math.max(0, y - half[1]), Math.min(item.width, x + half[0]), Math.min(item.height, y + half[1])].map(Math.round));
  },
  remove() {
    if (!chosenMark()) return;
    marks.splice(chosen, 1);
    chosen = Math.min(chosen, marks.length - 1);
    changed();
  },
  nextMark: () => { if (marks.length) choose((chosen + 1) % marks.length, null); },
  previousMark: () => { if (marks.length) choose((chosen + marks.length - 1) % marks.length, null); },
  corner: ({ key }) => { if (chosenMark()) choose(chosen, Number(key) - 1); },
  leave() {
    const field = document.activeElement;
    if (field?.matches("input, textarea, select")) {
      panel.settle();
      field.blur();
    } else choose(corner === null ? -1 : chosen, null);
  },
  corners() {
    const mark = chosenMark();
    if (!mark || mark.out) return;
    if (mark.quad) place(mark, cornersOf({ box: mark.box }), false);
    else mark.quad = cornersOf(mark).map((one) => [...one]);
    changed();
  },
  ignore() {
    const mark = chosenMark();
    if (!mark) return;
    if (mark.out) delete mark.out;
    else {
      mark.out = true;
      mark.quad = null;
    }
    changed();
  },
  text: () => panel.focus(setup.kind === "plate" ? "text" : "texts"),
  region: () => panel.focus("region"),
  identity: () => panel.focus("identity"),
  lines: () => panel.cycle("lines"),
  obscured: () => panel.cycle("obscured"),
  shape: () => panel.cycle("shape"),
  color: () => panel.cycle("color"),
  takeText() {
    const mark = chosenMark(), same = mark && !mark.out && counterpart(mark, item.prediction);
    if (!same) return;
    const { box, quad, ...said } = clone(same.one);
    Object.assign(mark, said);
    changed();
  },
  takeModel() {
    if (!item?.prediction) return;
    marks = [...clone(item.prediction.marks), ...marks.filter(({ out }) => out)];
    chosen = doubtful();
    changed();
  },
  showModel: () => { modelShown = !modelShown; draw(); },
  async history() {
    if (!item || item.error) return;
    const rows = await ask(`images/${item.id}/history`);
    by("revisions").replaceChildren(...rows.reverse().map((one) => {
      const row = element("li", `${one.action}: ${described(one.marks, one.status)} `);
      row.append(element("small", `${one.annotator || "manifest"} ${(one.at || "").replace("T", " ").replace("+00:00", " UTC")}`));
      return row;
    }));
    by("past").showModal();
  },
  closer: () => stage.zoom(1.25),
  farther: () => stage.zoom(0.8),
  fit: () => stage.fit(),
  help: () => by("help").showModal(),
  move: ({ by: way, size }) => nudge(way, size),
  choose: ({ key }) => settleConflict(key === "2"),
};

/**
 * One after the other: what is asked for meanwhile waits for what came before. Until another image is
 * shown only turning goes on: nothing is done to an image that the annotator has not seen.
 */
let busy = Promise.resolve(), turning = 0;
const TURNS = ["next", "previous"], LEAVES = ["accept", "reject", ...TURNS];
function act(asked) {
  if (turning && !TURNS.includes(asked.name)) return;
  const leaves = LEAVES.includes(asked.name);
  if (leaves) turning += 1;
  busy = busy.then(() => actions[asked.name](asked)).catch((error) => {
    if (!(error instanceof Refused)) throw error;
    notice("That did not work.", error.message);
  }).finally(() => { if (leaves) turning -= 1; });
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const asked = meaning(event);
  if (!asked) return;
  event.preventDefault();
  if (!(event.repeat && LEAVES.includes(asked.name) && !TURNS.includes(asked.name))) act(asked);
});
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-do]");
  if (button) act({ name: button.dataset.do });
});
annotator.addEventListener("change", () => localStorage.setItem(REMEMBERED, who()));
stage.photo.addEventListener("load", () => {
  if (!item || item.error) return;
  panel.look(stage.photo, [item.width, item.height]);
  if (chosenMark()) panel.drawCrop(chosenMark());
});
stage.photo.addEventListener("error", async () => {
  if (!item || item.error) return;
  const said = await ask(`images/${item.id}/picture`).catch((error) => error);
  notice("This image cannot be shown.", said instanceof Refused ? said.message : "");
});

async function poll() {
  try {
    const shown = item && !item.error ? `&image=${item.id}` : "";
    const state = await ask(`state?annotator=${encodeURIComponent(who())}${shown}`);
    showState(state);
    if (by("saved").textContent.startsWith("The server") && !outbox.holds()) outbox.flush();
    const now = state.open;
    if (!now || now.id !== item?.id || outbox.holds(now.id) || panel.typing || stage.busy) return;
    const another = now.version > item.version || now.proposals !== item.proposals.length;
    if (another || (now.predicted && !item.prediction)) await open(now.id);
    item.others = now.others;
    caption();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (!outbox.holds()) {
      put(by("saved"), "The server does not answer");
      by("saved").classList.add("bad");
    }
  }
}

function explain() {
  const rows = [...KEYS.map(([keys, , told]) => [keys, told]), ...HINTS.map(([key, told]) => [[key], told])];
  by("keys").replaceChildren(...rows.flatMap(([keys, told]) => {
    const named = element("dt", "");
    named.append(...keys.map((key) => element("kbd", key.replace("Escape", "Esc"))));
    return [named, element("dd", told)];
  }));
}

put(by("dataset"), `Review of ${setup.dataset}: ${setup.kind}s`);
explain();
outbox.flush();
queue.load();
await poll();
const linked = location.hash.slice(1);
await (/^[0-9a-f]{16}$/.test(linked) ? visit(linked).catch(() => go.next()) : go.next());
setInterval(poll, POLL);
setInterval(() => queue.load().catch(() => {}), 5 * POLL);
document.body.dataset.ready = "yes";
