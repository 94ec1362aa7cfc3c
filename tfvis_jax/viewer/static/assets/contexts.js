/* The contexts of a factor at one layer, the word marked. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { el } = tfvis.dom;
  const { format, memory } = tfvis;
  const FIRST = 20;
  const STEP = 20;
  const WEAKEST = 0.1;
  const KEY = "tfvis.aligned";

  function aligned() {
    const kept = memory.get(KEY);
    return kept === null ? window.matchMedia("(min-width: 720px)").matches : kept === "1";
  }

  /**
   * The marked word; its ground is as strong as its activation is beside the greatest.
   * @param {string} word @param {number|null} activation @param {number} greatest
   */
  function mark(word, activation, greatest) {
    const share = activation && greatest > 0 ? Math.min(1, activation / greatest) : 0;
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

  /** Line breaks as spaces, so that aligned text may keep its spaces. @param {string} s */
  const flat = (s) => s.replace(/\s+/g, " ");

  /** One context. @param {[string, string, string, string]} text */
  function item([before, word, after, title], activation, greatest) {
    return el(
      "li",
      { class: "context" },
      el("span", { class: "value", title: "activation" }, format.even(activation)),
      el(
        "p",
        { class: "text", dir: "auto" },
        el("span", { class: "before" }, el("span", null, flat(before))),
        mark(word, activation, greatest),
        el("span", { class: "after" }, flat(after)),
      ),
      el("cite", { class: "title", title }, title),
    );
  }

  function legend(greatest) {
    return el(
      "p",
      { class: "legend" },
      "0 ",
      el("span", { class: "ramp", role: "img", "aria-label": "weak to strong colour" }),
      ` ${format.even(greatest)} activation, relative to this factor’s maximum`,
    );
  }

  tfvis.contexts = {
    mark,

    /**
     * @param {Factor} factor @param {number[]} layers
     */
    panel(factor, layers) {
      const greatest = Math.max(0, ...factor.activation.filter((v) => v !== null));
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
        ["1", "Aligned on the word"],
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
        title.textContent = `Strongest contexts at layer ${number}`;
        list.replaceChildren(
          ...all
            .slice(0, shown)
            .map(([text, value]) => item(factor.texts[text], value, greatest)),
        );
        const left = all.length - Math.min(shown, all.length);
        more.hidden = left === 0;
        more.textContent = `Show ${Math.min(STEP, left)} more of ${left}`;
        none.hidden = all.length > 0;
        none.textContent = factor.activation[layer]
          ? `No contexts were kept for layer ${number}.`
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
          legend(greatest),
          list,
          none,
          more,
        ),
        /** @param {number} i position in layers */
        show(i) {
          layer = i;
          shown = FIRST;
          draw();
        },
        toggle: () => align(!list.classList.contains("aligned")),
      };
    },
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
