// What the pages need beyond Gradio: copying, going from a mark to its card and back, the overlay.
(() => {
  const say = (text) => {
    let live = document.getElementById("pm-live");
    if (!live) {
      live = document.createElement("div");
      live.id = "pm-live";
      live.className = "pm-hidden";
      live.setAttribute("role", "status");
      document.body.append(live);
    }
    live.textContent = text;
  };

  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Over plain HTTP browsers have no clipboard for pages but the old way.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "pm-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("not copied");
  };

  const light = (number, on) => {
    for (const part of document.querySelectorAll(`[data-mark="${number}"]`)) part.classList.toggle("on", on);
  };

  const go = (from) => {
    const card = document.getElementById(from.dataset.go);
    if (!card) return;
    card.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "nearest" });
    card.focus({ preventScroll: true });
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      const before = button.textContent;
      try {
        await copy(button.dataset.copy);
        button.textContent = "Copied";
        say(`${button.getAttribute("aria-label") || before}: copied`);
      } catch {
        button.textContent = "Not copied";
        say("The browser does not let this page copy");
      }
      setTimeout(() => { button.textContent = before; }, 1400);
      return;
    }
    const enrol = event.target.closest("[data-enrol]");
    if (enrol) {
      const which = document.querySelector("#pm-stamp-which input");
      // Gradio hears of a value by the event that a person's typing makes.
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(which, enrol.dataset.enrol);
      which.dispatchEvent(new Event("input", { bubbles: true }));
      document.querySelector("#pm-stamp-name input, #pm-stamp-name textarea").focus();
      return;
    }
    const mark = event.target.closest("[data-go]");
    if (mark) go(mark);
  });

  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest?.("svg [data-go]");
    if (mark && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      go(mark);
    }
  });

  for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(name, (event) => {
      const part = event.target.closest?.("[data-mark]");
      if (part) light(part.dataset.mark, on);
    });
  }

  document.addEventListener("input", (event) => {
    const over = event.target.closest(".pm-over");
    if (!over) return;
    const stack = over.querySelector(".pm-stack");
    if (event.target.type === "range") {
      stack.style.setProperty("--at", `${event.target.value}%`);
      stack.style.setProperty("--part", event.target.value / 100);
      event.target.setAttribute("aria-valuetext", `${event.target.value} %`);
    } else if (event.target.type === "radio") {
      stack.classList.toggle("blend", event.target.value === "blend");
    }
  });

  // All places for files have one name; what is to be dropped there stands above.
  document.addEventListener("focusin", (event) => {
    const place = event.target.closest?.(".upload-container");
    const label = place?.closest(".block")?.querySelector("[data-testid=block-label]");
    if (label) place.setAttribute("aria-label", `${label.textContent.trim()}: choose or drop a file`);
  });

  document.documentElement.lang = "en";
})();
