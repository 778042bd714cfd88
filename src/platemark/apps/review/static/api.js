// The server, and the changes that it has not acknowledged yet.

/** What the server says is wrong, or that it does not answer (`status` 0). */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask the server; gives what it answers, or throws `Refused`. */
export async function ask(path, method = "GET", body = undefined) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
    });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.detail || answer.statusText);
  return said;
}

const AGAIN = 1500;

/**
 * Sends changes one after the other, and keeps those that are not acknowledged, also while the page
 * is closed. Of one image the last change counts: each says all that is marked.
 */
export class Outbox {
  #waiting;
  #versions = new Map();
  #sending = null;

  /**
   * @param dataset Id of the data set, under which changes are kept while the page is closed.
   * @param told `{saved(image, answer, last), refused(image, error), state(text, bad)}`
   */
  constructor(dataset, told) {
    this.kept = `platemark-review ${dataset}`;
    this.#waiting = new Map(JSON.parse(localStorage.getItem(this.kept) || "[]"));
    this.told = told;
    addEventListener("beforeunload", (event) => { if (this.#waiting.size) event.preventDefault(); });
  }

  /** The version of an image that the next change of it builds on. */
  know(image, version) { this.#versions.set(image, Math.max(version, this.#versions.get(image) ?? 0)); }

  version(image) { return this.#versions.get(image); }

  /** Whether changes of an image, or of any, are not acknowledged yet. */
  holds(image) { return image === undefined ? this.#waiting.size > 0 : this.#waiting.has(image); }

  /** Send a change: its annotator, action, marks, and so on. */
  put(image, body) {
    this.#waiting.set(image, { base: this.#versions.get(image), ...body });
    this.#keep();
    return this.flush();
  }

  /** Send all that waits; comes back when nothing does. */
  flush() {
    this.#sending ??= this.#send().finally(() => { this.#sending = null; });
    return this.#sending;
  }

  #keep() { localStorage.setItem(this.kept, JSON.stringify([...this.#waiting])); }

  async #send() {
    while (this.#waiting.size) {
      const [image, body] = this.#waiting.entries().next().value;
      this.told.state("Saving…", false);
      try {
        const answer = await ask(`images/${image}`, "PUT", body);
        this.#done(image, body, answer.version);
        this.told.saved(image, answer, !this.#waiting.has(image));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 0 || error.status >= 500 || error.status === 429) {
          this.told.state(`Not saved yet: ${error.message} Trying again.`, true);
          await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
        } else {
          this.#done(image, body, undefined);
          this.told.refused(image, error);
        }
      }
    }
    this.told.state("Saved", false);
  }

  #done(image, body, version) {
    const now = this.#waiting.get(image);
    if (now === body) this.#waiting.delete(image);
    else if (version !== undefined) now.base = version; // made while this one was on its way
    if (version !== undefined) this.know(image, version);
    this.#keep();
  }
}
