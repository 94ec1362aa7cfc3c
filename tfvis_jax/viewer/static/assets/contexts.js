/* The top-activating examples of a factor at one layer, the word marked. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format, memory } = tfvis;
  const FIRST = 20;
  const STEP = 20;
  const WEAKEST = 0.1;
  const KEY = "tfvis.aligned";

  function aligned() {
    const kept = memory.get(KEY);
    return kept === null
      ? window.matchMedia("(min-width: 720px)").matches
      : kept === "1";
  }

  /**
   * The marked word; the colour behind it shows its activation relative to the largest.
   * @param {string} word @param {Value} activation @param {number} largest
   */
  function mark(word, activation, largest) {
    const share = activation && largest > 0 ? Math.min(1, activation / largest) : 0;
    const strength = share > 0 ? Math.max(WEAKEST, share) : 0;
    return el(
      "mark",
      {
        title: `activation ${format.even(activation)}`,
        style: { "--strength": strength.toFixed(3) },
      },
      word,
    );
  }

  /** Line breaks as spaces: aligned text is shown with its spaces. @param {string} s */
  const flat = (s) => s.replace(/\s+/g, " ");

  /** One example. @param {Passage} passage @param {Value} activation @param {number} largest */
  function item([before, word, after, title], activation, largest) {
    return el(
      "li",
      { class: "context" },
      el("span", { class: "value", title: "activation" }, format.even(activation)),
      el(
        "p",
        { class: "text", dir: "auto" },
        el("span", { class: "before" }, el("span", null, flat(before))),
        mark(word, activation, largest),
        el("span", { class: "after" }, flat(after)),
      ),
      el("cite", { class: "title", title }, title),
    );
  }

  /** @param {number} largest */
  function legend(largest) {
    return el(
      "p",
      { class: "legend" },
      "0 ",
      el("span", {
        class: "ramp",
        role: "img",
        "aria-label": "colours from weak to strong",
      }),
      ` ${format.even(largest)} · activation, relative to this factor’s maximum`,
    );
  }

  tfvis.contexts = {
    mark,

    panel(factor, layers) {
      const largest = format.largest(factor.activation);
      let layer = 0;
      let shown = FIRST;
      const title = el("h2", { id: "contexts-title" });
      const list = el("ol", { class: "contexts" });
      const none = el("p", { class: "notice", hidden: true });
      const more = el("button", {
        type: "button",
        class: "button more",
        on: {
          click() {
            const next = list.children.length;
            shown += STEP;
            draw();
            if (more.hidden) list.children[next]?.scrollIntoView({ block: "nearest" });
          },
        },
      });
      const views = [
        ["1", "Aligned on word"],
        ["0", "Running text"],
      ].map(([value, label]) =>
        el(
          "button",
          {
            type: "button",
            "data-view": value,
            on: { click: () => align(value === "1") },
          },
          label,
        ),
      );

      /** @param {boolean} yes @param {boolean} [keep] for the next visit */
      function align(yes, keep = true) {
        if (keep) memory.set(KEY, yes ? "1" : "0");
        list.classList.toggle("aligned", yes);
        for (const view of views) {
          const pressed = (view.dataset.view === "1") === yes;
          view.setAttribute("aria-pressed", String(pressed));
        }
      }

      function draw() {
        const all = factor.contexts[layer];
        const number = layers[layer];
        title.textContent = `Top-activating examples at layer ${number}`;
        list.replaceChildren(
          ...all
            .slice(0, shown)
            .map(([text, value]) => item(factor.texts[text], value, largest)),
        );
        const left = all.length - Math.min(shown, all.length);
        more.hidden = left === 0;
        more.textContent = `Show ${Math.min(STEP, left)} more (${left} left)`;
        none.hidden = all.length > 0;
        none.textContent = factor.activation[layer]
          ? `No examples stored for layer ${number}.`
          : `This factor never fires in layer ${number}.`;
      }

      align(aligned(), false);
      return {
        element: el(
          "section",
          { class: "panel", "aria-labelledby": "contexts-title" },
          el(
            "div",
            { class: "panel-head" },
            title,
            el("div", { class: "switch", role: "group", "aria-label": "View" }, views),
          ),
          legend(largest),
          list,
          none,
          more,
        ),
        show(i) {
          layer = i;
          shown = FIRST;
          draw();
        },
        toggle: () => align(!list.classList.contains("aligned")),
      };
    },
  };
}
