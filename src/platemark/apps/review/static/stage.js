// The image with its marks: zoom and pan, choose, drag, draw. A mark is `{box, quad, ...}` of the manifest.
import { isConvex } from "./rectify.js";

const SVG = "http://www.w3.org/2000/svg", LEAST = 4, REACH = 11;

/** The four corners of a mark, of its box where it has no quad. */
export function cornersOf({ box: [x0, y0, x1, y1], quad }) {
  return quad || [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

export const round = (value) => Math.round(value * 10) / 10;

/** Give a mark other corners: a quad, whose box is what is around it, or a box. */
export function place(mark, corners, asQuad) {
  const xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
  mark.box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)].map(round);
  mark.quad = asQuad ? corners.map((corner) => corner.map(round)) : null;
  delete mark.polygon; // the outline of another tool
}

/** Why the places of a mark cannot be saved, or an empty text. */
export function fault({ box: [x0, y0, x1, y1], quad }) {
  if (x1 - x0 < 1 || y1 - y0 < 1) return "The box has no area.";
  return quad && !isConvex(quad) ? "The corners must run clockwise from the mark's own upper left." : "";
}

export class Stage {
  #view = { scale: 1, x: 0, y: 0 };
  #drag = null;
  #pointers = new Map();

  /** @param told `{chosen(index, corner), moved(), dropped(), drawn(box)}` */
  constructor(stage, told) {
    this.stage = stage;
    this.told = told;
    this.sheet = stage.querySelector("#sheet");
    this.photo = stage.querySelector("#photo");
    this.svg = stage.querySelector("#marks");
    this.size = [1, 1];
    this.shown = { marks: [], model: [], chosen: -1, corner: null, suggested: false };
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.#up(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  /** Whether something is being dragged or drawn. */
  get busy() { return this.#drag !== null; }

  /** Show an image of a size, in pixels of its marks. */
  open(address, size) {
    this.size = size;
    this.photo.src = address;
    this.svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    this.fit();
  }

  /** The whole image, in the middle. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const scale = Math.max(1e-3, Math.min(width / this.size[0], height / this.size[1]) * 0.98);
    this.#view = { scale, x: (width - this.size[0] * scale) / 2, y: (height - this.size[1] * scale) / 2 };
    this.#lay();
  }

  /** Zoom by a factor about a point of the stage, by default its middle. */
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const view = this.#view, scale = Math.min(40, Math.max(0.02, view.scale * factor)), by = scale / view.scale;
    this.#view = { scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
    this.#lay();
  }

  /** What is in the middle of the stage, in pixels of the image, within it. */
  middle() {
    const { scale, x, y } = this.#view;
    const at = [(this.stage.clientWidth / 2 - x) / scale, (this.stage.clientHeight / 2 - y) / scale];
    return at.map((value, axis) => Math.min(this.size[axis] * 0.8, Math.max(this.size[axis] * 0.2, value)));
  }

  /** Draw marks: `{marks, model, chosen, corner, suggested}`. */
  draw(shown) {
    this.shown = shown;
    const unit = 1 / this.#view.scale, parts = [];
    const polygon = (corners) => element("polygon", { points: corners.map((corner) => corner.join()).join(" ") });
    shown.marks.forEach((mark, index) => {
      const on = index === shown.chosen;
      const names = ["mark", on && "on", shown.suggested && "suggested", fault(mark) && "wrong", mark.out && "out"];
      const group = element("g", { class: names.filter(Boolean).join(" "), "data-mark": index });
      group.append(polygon(cornersOf(mark)));
      parts.push(group);
    });
    for (const mark of shown.model) {
      const group = element("g", { class: "model" });
      group.append(polygon(cornersOf(mark)));
      parts.push(group);
    }
    const chosen = shown.marks[shown.chosen];
    if (chosen) {
      cornersOf(chosen).forEach(([x, y], corner) => {
        const names = ["handle", corner === 0 && chosen.quad && "first", corner === shown.corner && "on"];
        parts.push(element("circle", { cx: x, cy: y, r: 6 * unit, class: names.filter(Boolean).join(" "), "data-corner": corner }));
      });
    }
    const drawing = this.#drag?.box;
    if (drawing) {
      const [x0, y0, x1, y1] = drawing;
      parts.push(element("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: "draft" }));
    }
    this.svg.replaceChildren(...parts);
  }

  #lay() {
    const { scale, x, y } = this.#view, { style } = this.sheet;
    style.width = `${this.size[0] * scale}px`;
    style.height = `${this.size[1] * scale}px`;
    style.transform = `translate(${x}px, ${y}px)`;
    this.draw(this.shown);
  }

  /** Where a pointer is, in pixels of the image, within it. */
  #at(event) {
    const { left, top } = this.stage.getBoundingClientRect(), { scale, x, y } = this.#view;
    const at = [(event.clientX - left - x) / scale, (event.clientY - top - y) / scale];
    return at.map((value, axis) => Math.min(this.size[axis], Math.max(0, value)));
  }

  #down(event) {
    if (event.target.closest("#blank")) return;
    this.stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.#pointers.size === 2 || event.button === 1) { // two fingers, or the middle button: pan and zoom
      this.#drag = { pan: true };
      event.preventDefault();
      return;
    }
    const at = this.#at(event), corner = this.#near(at);
    if (corner !== null) {
      this.told.chosen(this.shown.chosen, corner);
      this.#drag = { corner, mark: this.shown.marks[this.shown.chosen] };
      return;
    }
    const over = event.target.closest("[data-mark]");
    if (over) {
      const index = Number(over.dataset.mark);
      this.told.chosen(index, null);
      const mark = this.shown.marks[index];
      this.#drag = { mark, from: at, corners: cornersOf(mark) };
    } else {
      this.#drag = { from: at, box: null };
    }
  }

  /** The corner of the chosen mark that is within reach of a point, or null. */
  #near([x, y]) {
    const chosen = this.shown.marks[this.shown.chosen];
    if (!chosen) return null;
    const far = cornersOf(chosen).map((corner) => Math.hypot(corner[0] - x, corner[1] - y) * this.#view.scale);
    const nearest = Math.min(...far);
    return nearest <= REACH ? far.indexOf(nearest) : null;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId), drag = this.#drag;
    if (!before || !drag) return;
    if (drag.pan) {
      this.#pan(event, before);
      return;
    }
    const at = this.#at(event);
    if (drag.corner !== undefined) {
      moveCorner(drag.mark, drag.corner, at);
      drag.changed = true;
      this.told.moved();
    } else if (drag.mark) {
      shift(drag.mark, drag.corners, [at[0] - drag.from[0], at[1] - drag.from[1]], this.size);
      drag.changed = true;
      this.told.moved();
    } else {
      const [x0, y0] = drag.from;
      drag.box = [Math.min(x0, at[0]), Math.min(y0, at[1]), Math.max(x0, at[0]), Math.max(y0, at[1])].map(round);
      this.draw(this.shown);
    }
  }

  #pan(event, before) {
    const now = [event.clientX, event.clientY];
    const other = [...this.#pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    const { left, top } = this.stage.getBoundingClientRect();
    const share = other ? 0.5 : 1;
    this.#view.x += (now[0] - before[0]) * share;
    this.#view.y += (now[1] - before[1]) * share;
    this.#pointers.set(event.pointerId, now);
    if (other) {
      const far = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoom(far(now) / Math.max(1, far(before)), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
    } else {
      this.#lay();
    }
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    const drag = this.#drag;
    if (!drag || (drag.pan && this.#pointers.size)) return;
    this.#drag = null;
    if (drag.changed) this.told.dropped();
    else if (drag.box && drag.box[2] - drag.box[0] >= LEAST && drag.box[3] - drag.box[1] >= LEAST) this.told.drawn(drag.box);
    else if (!drag.mark && !drag.pan) this.told.chosen(-1, null);
  }

  #wheel(event) {
    event.preventDefault();
    const { left, top } = this.stage.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
  }
}

/** Move a corner to a point: of a quad that corner, of a box also the sides that meet there. */
export function moveCorner(mark, corner, [x, y]) {
  if (mark.quad) {
    place(mark, mark.quad.map((old, index) => (index === corner ? [x, y] : old)), true);
    return;
  }
  const [ox, oy] = cornersOf(mark)[(corner + 2) % 4];
  place(mark, [[x, y], [ox, oy]], false);
}

/** Move a mark from where its corners were, as far as the image goes. */
export function shift(mark, corners, by, size) {
  const bounded = by.map((value, axis) => {
    const values = corners.map((corner) => corner[axis]);
    return Math.max(-Math.min(...values), Math.min(size[axis] - Math.max(...values), value));
  });
  place(mark, corners.map(([x, y]) => [x + bounded[0], y + bounded[1]]), Boolean(mark.quad));
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
