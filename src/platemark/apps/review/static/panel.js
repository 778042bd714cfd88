// The chosen mark: its picture upright, its fields, and what the model reads there.
import { cornersOf, fault } from "./stage.js";
import { drawUpright } from "./rectify.js";

const MOST = [560, 240], PIXELS = 16e6, TYPING = 500;
const by = (id) => document.getElementById(id);

/** The text of a plate as the manifest has it: upper case, no separators; null for nothing. */
export const plateText = (text) => text.toUpperCase().replace(/[^\p{L}\p{N}]/gu, "") || null;

/** Overlap of two boxes, as a share of what both cover. */
function overlap([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) {
  const shared = Math.max(0, Math.min(ax1, bx1) - Math.max(ax0, bx0)) * Math.max(0, Math.min(ay1, by1) - Math.max(ay0, by0));
  return shared / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - shared);
}

/** The mark of the model that is the same as a mark, with its scores, or undefined. */
export function counterpart(mark, prediction) {
  const found = (prediction?.marks || []).map((one, index) => ({ one, scores: prediction.scores[index], iou: overlap(one.box, mark.box) }));
  return found.filter(({ iou }) => iou >= 0.5).sort((a, b) => b.iou - a.iou)[0];
}

export class Panel {
  #source = null;
  #timer = null;
  #shown = null;

  /** @param told `{typed(), settled(), chosen(index)}`: a field is being changed, or was. */
  constructor(setup, told) {
    this.told = told;
    this.kind = setup.kind;
    for (const part of document.querySelectorAll("#form [data-kind]")) part.hidden = part.dataset.kind !== this.kind;
    by("regions").replaceChildren(...setup.regions.map(({ code, name }) => option(code, name)));
    by("shape").replaceChildren(option("", "unknown"), ...setup.shapes.map((shape) => option(shape, shape)));
    by("color").replaceChildren(option("", "unknown"), ...setup.colors.map((color) => option(color, color)));
    by("form").addEventListener("submit", (event) => event.preventDefault());
    by("form").addEventListener("input", () => this.#read());
    by("form").addEventListener("change", () => this.settle());
    by("chips").addEventListener("click", ({ target }) => {
      const chip = target.closest("button");
      if (chip) told.chosen(Number(chip.dataset.mark));
    });
  }

  /** Take the pixels of an image whose marks are in pixels of a size. */
  look(photo, size) {
    const { naturalWidth: width, naturalHeight: height } = photo;
    const by = Math.min(1, Math.sqrt(PIXELS / (width * height)));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by)));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(photo, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    this.#source = { data, width: canvas.width, height: canvas.height, scale: canvas.width / size[0] };
  }

  /** No pixels are known. */
  blind() { this.#source = null; }

  /** Show the chips of all marks and the fields of the chosen one. */
  show({ marks, chosen, prediction, suggested }) {
    by("chips").replaceChildren(...marks.map((mark, index) => chip(mark, index, index === chosen)));
    if (!marks.length) by("chips").append(element("p", "Nothing is marked. Drag on the image, or press B."));
    const mark = marks[chosen];
    by("form").hidden = !mark;
    this.#shown = mark || null;
    if (!mark) return;
    this.drawCrop(mark);
    this.#fill(mark);
    const same = mark.out ? undefined : counterpart(mark, prediction);
    by("read").hidden = !same || suggested;
    if (same) {
      const { one, scores } = same;
      const told = one.text ? `reads ${one.text} (${percent(scores.text_score)})` : `finds this mark (${percent(scores.score)})`;
      by("read").firstElementChild.textContent = `The model ${told}${one.region ? `, ${one.region}` : ""}.`;
    }
  }

  /** Draw the mark upright. */
  drawCrop(mark) {
    const wrong = fault(mark);
    by("invalid").hidden = !wrong;
    by("invalid").textContent = wrong;
    if (this.#source && !wrong) drawUpright(by("crop"), this.#source, cornersOf(mark), MOST);
  }

  /** Whether a field was changed and that is not told yet. */
  get typing() { return this.#timer !== null; }

  /** Tell of what was typed, now. */
  settle() {
    if (this.#timer === null) return;
    this.forget();
    this.told.settled();
  }

  /** What was typed is kept in another way. */
  forget() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Set a choice to its next value. */
  cycle(id) {
    const select = by(id);
    if (!this.#shown || select.closest("[hidden]")) return;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    this.#read();
    this.settle();
  }

  /** Go into a field. */
  focus(id) {
    const field = by(id);
    if (this.#shown && !field.closest("[hidden]")) {
      field.focus();
      field.select();
    }
  }

  #fill(mark) {
    const put = (id, value) => { if (document.activeElement !== by(id)) by(id).value = value ?? ""; };
    put("text", mark.text);
    put("region", mark.region);
    put("lines", mark.out || this.kind !== "plate" ? "" : mark.lines);
    put("obscured", mark.obscured);
    put("shape", mark.shape);
    put("color", mark.color);
    put("identity", mark.identity);
    put("texts", textsOf(mark));
    for (const field of by("form").querySelectorAll("input, select, textarea")) field.disabled = Boolean(mark.out);
  }

  #read() {
    const mark = this.#shown;
    if (!mark) return;
    if (this.kind === "plate") {
      mark.text = plateText(by("text").value);
      mark.region = by("region").value.trim() || null;
      mark.lines = Number(by("lines").value) || null;
      mark.obscured = by("obscured").value === "" ? null : by("obscured").value === "true";
    } else {
      readTexts(mark, by("texts").value);
      for (const name of ["shape", "color"]) mark[name] = by(name).value || null;
      mark.identity = by("identity").value.trim() || null;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.settle(), TYPING);
    this.told.typed();
  }
}

/** The text of a stamp, a line each; lines round the ring begin with @. */
function textsOf(mark) {
  const lines = mark.lines?.length ? mark.lines.map(({ text, path }) => (path === "ring" ? `@${text}` : text)) : (mark.text || "").split(" / ");
  return lines.join("\n");
}

function readTexts(mark, value) {
  if (value === textsOf(mark)) return;
  const before = new Map((mark.lines || []).map((line) => [`${line.path} ${line.text}`, line]));
  const made = value.split("\n").map((line) => line.trim()).filter((line) => line.replace(/^@/, "")).map((line) => {
    const path = line.startsWith("@") ? "ring" : "straight", text = line.replace(/^@\s*/, "");
    return before.get(`${path} ${text}`) || { text, path };
  });
  mark.text = made.map(({ text }) => text).join(" / ") || null;
  // Where the direction of the lines is not known, straight is not said either.
  mark.lines = mark.lines?.length || made.some(({ path }) => path === "ring") ? made : [];
}

function chip(mark, index, on) {
  const said = mark.out ? "ignored" : mark.text || mark.identity || "no text";
  const made = element("button", `${index + 1} ${said}`);
  made.type = "button";
  made.dataset.mark = index;
  made.setAttribute("aria-pressed", on);
  return made;
}

export const percent = (share) => `${Math.round(100 * share)}%`;

export function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function option(value, label) {
  const made = element("option", label);
  made.value = value;
  return made;
}
