// How far it has come: the list of images, counts, agreement.
import { ask } from "./api.js";
import { element, percent } from "./panel.js";

const by = (id) => document.getElementById(id), LISTED = 100, IDLE = 800;
const WORDS = { todo: "to review", edited: "begun", accepted: "accepted", rejected: "rejected" };

/** What a status is called. */
export const statusWord = (status) => WORDS[status] || status;

export class Queue {
  #current = null;
  #timer = null;

  /** @param open Is told the id of the image that was chosen. */
  constructor(open) {
    by("show").addEventListener("change", () => this.load());
    by("queue").addEventListener("click", ({ target }) => {
      const row = target.closest("button");
      if (row) open(row.dataset.image);
    });
  }

  /** Show which image is open. */
  mark(image) {
    this.#current = image;
    for (const row of by("queue").querySelectorAll("button")) row.setAttribute("aria-current", row.dataset.image === image);
  }

  /** Ask for the list once more when nothing has happened for a while. */
  later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.load().catch(() => {}), IDLE);
  }

  /** Ask for the list once more. */
  async load() {
    const { total, images } = await ask(`images?show=${by("show").value}&limit=${LISTED}`);
    const top = by("queue").scrollTop;
    by("queue").replaceChildren(...images.map((one) => this.#row(one)));
    if (total > images.length) by("queue").append(element("li", `and ${total - images.length} more`));
    if (!total) by("queue").append(element("li", "None."));
    by("queue").scrollTop = top;
  }

  #row({ id, image, status, certainty, conflict, missing }) {
    const item = element("li", ""), row = element("button", image.split("/").pop());
    row.type = "button";
    row.title = image;
    row.dataset.image = id;
    row.setAttribute("aria-current", id === this.#current);
    const certain = status === "todo" && certainty !== null ? `${percent(certainty)} certain` : statusWord(status);
    row.append(element("small", [missing ? "missing" : certain, conflict && "two versions"].filter(Boolean).join(" · ")));
    item.append(row);
    return item;
  }
}

/** Show the progress and the agreement of a state. */
export function showState({ total, counts, conflicts, predicted, predicting, troubles, annotators, agreement }) {
  const done = counts.accepted + counts.rejected;
  by("bar").max = Math.max(1, total);
  by("bar").value = done;
  const parts = [`${done} of ${total} reviewed`];
  if (counts.rejected) parts.push(`${counts.rejected} rejected`);
  if (counts.edited) parts.push(`${counts.edited} begun`);
  if (conflicts) parts.push(`${conflicts} in conflict`);
  if (predicting) parts.push(`the model has done ${predicted}`);
  put(by("counts"), parts.join(" · "));
  by("troubles").replaceChildren(...troubles.map((text) => element("div", text, "pm-notice bad")));
  by("agreement").replaceChildren(
    ...facts("Model and corrections", agreement.model, "found", "of those right"),
    ...facts("Annotators among each other", agreement.people, "of one, of the other", "the other way"),
    element("dt", "Corrected by"),
    element("dd", Object.entries(annotators).map(([name, count]) => `${name} ${count}`).join(", ") || "none yet"),
  );
}

/** Change a text that is read out only where it is another. */
export function put(part, text) { if (part.textContent !== text) part.textContent = text; }

function facts(title, { images, equal, first, second, both, texts, same_text: same }, found, right) {
  const made = [element("dt", title)];
  if (!images) return [...made, element("dd", "nothing to compare yet")];
  const share = (part, whole) => (whole ? percent(part / whole) : "–");
  made.push(element("dd", `${images} images, ${share(equal, images)} equal`));
  made.push(element("dd", `marks: ${share(both, second)} ${found}, ${share(both, first)} ${right}`));
  made.push(element("dd", `texts: ${share(same, texts)} of ${texts} equal`));
  return made;
}
