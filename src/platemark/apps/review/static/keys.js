// What every key does: one table, for the keyboard and for the help.

/** Keys, what is done, and what the help says; `⇧` is Shift, and arrows come with what they move. */
export const KEYS = [
  [["Enter"], "accept", "accept, and go on"],
  [["r"], "reject", "reject, and go on"],
  [["n", "PageDown"], "next", "next image"],
  [["p", "PageUp"], "previous", "previous image"],
  [["z"], "undo", "undo"],
  [["y", "Z"], "redo", "redo"],
  [["b"], "box", "new box"],
  [["d", "Delete", "Backspace"], "remove", "delete the mark"],
  [["j", "]"], "nextMark", "next mark"],
  [["k", "["], "previousMark", "previous mark"],
  [["1", "2", "3", "4"], "corner", "choose a corner"],
  [["Escape"], "leave", "leave the field, the corner, the mark"],
  [["q"], "corners", "corners, or a plain box"],
  [["e"], "ignore", "ignore the place, or mark it again"],
  [["t"], "text", "text"],
  [["g"], "region", "region"],
  [["l"], "lines", "lines: unknown, 1, 2, 3"],
  [["o"], "obscured", "obscured: unknown, no, yes"],
  [["s"], "shape", "shape"],
  [["c"], "color", "colour"],
  [["i"], "identity", "identity"],
  [["x"], "takeText", "take what the model reads"],
  [["m"], "takeModel", "take the model's marks"],
  [["v"], "showModel", "show or hide the model's marks"],
  [["h"], "history", "history of the image"],
  [["+", "="], "closer", "closer"],
  [["-"], "farther", "farther"],
  [["f"], "fit", "the whole image"],
  [["?"], "help", "these keys"],
];
export const HINTS = [
  ["arrows", "move the mark or corner by 1 pixel, with ⇧ by 10"],
  ["Alt + arrows", "size of the mark, with ⇧ by 10"],
  ["Alt + 1, 2", "in a conflict: keep what counts, take the other"],
];
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What a key press asks for: `{name, key, by, size}`, or nothing. */
export function meaning(event) {
  const field = event.target.closest?.("input, textarea, select");
  const control = event.ctrlKey || event.metaKey;
  if (field) {
    if (event.key === "Escape") return { name: "leave" };
    const typesOn = field.id === "texts" && !control;
    return event.key === "Enter" && field.closest("#form") && !typesOn ? { name: "accept" } : null;
  }
  if (control) {
    const key = event.key.toLowerCase();
    if (key === "z") return { name: event.shiftKey ? "redo" : "undo" };
    return key === "y" ? { name: "redo" } : null;
  }
  if (event.altKey && "12".includes(event.key)) return { name: "choose", key: event.key };
  if (MOVES[event.key]) {
    const by = MOVES[event.key].map((value) => value * (event.shiftKey ? 10 : 1));
    return { name: "move", by, size: event.altKey };
  }
  if (event.altKey || (event.key === "Enter" && event.target.closest?.("button, summary, a"))) return null;
  const found = KEYS.find(([keys]) => keys.includes(event.key));
  return found ? { name: found[1], key: event.key } : null;
}
