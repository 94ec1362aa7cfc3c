/* All layers side by side: how the meaning of a factor shifts. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { el } = tfvis.dom;
  const { contexts, format } = tfvis;
  const BEST = 4;
  const AROUND = 80;

  /** The last characters, from the beginning of a word. @param {string} text */
  function tail(text) {
    if (text.length <= AROUND) return text;
    return `… ${text.slice(-AROUND).replace(/^\S*\s/, "")}`;
  }

  /** The first characters, to the end of a word. @param {string} text */
  function head(text) {
    if (text.length <= AROUND) return text;
    return `${text.slice(0, AROUND).replace(/\s\S*$/, "")} …`;
  }

  /**
   * @param {Factor} factor @param {number[]} layers
   * @param {(i: number) => void} choose called with a position in `layers`
   */
  tfvis.overview = function (factor, layers, choose) {
    const greatest = Math.max(0, ...factor.activation.filter((v) => v !== null));

    /** Lights the same text in the other layers. */
    function light(event, on) {
      const text = event.currentTarget.dataset.text;
      for (const twin of box.querySelectorAll(`[data-text="${text}"]`)) {
        twin.classList.toggle("lit", on);
      }
    }

    const columns = layers.map((layer, i) =>
      el(
        "section",
        { class: "column", "aria-label": `Layer ${layer}` },
        el(
          "button",
          { type: "button", class: "column-head", on: { click: () => choose(i) } },
          el("b", null, `Layer ${layer}`),
          el("span", null, format.even(factor.importance[i])),
        ),
        factor.contexts[i].length
          ? el(
              "ol",
              null,
              factor.contexts[i].slice(0, BEST).map(([text, value]) => {
                const [before, word, after, title] = factor.texts[text];
                return el(
                  "li",
                  {
                    "data-text": text,
                    dir: "auto",
                    title,
                    on: {
                      mouseenter: (event) => light(event, true),
                      mouseleave: (event) => light(event, false),
                    },
                  },
                  tail(before),
                  contexts.mark(word, value, greatest),
                  head(after),
                );
              }),
            )
          : el(
              "p",
              { class: "muted" },
              factor.activation[i] ? "no contexts kept" : `never fires in layer ${layer}`,
            ),
      ),
    );
    const box = el("div", { class: "columns", tabindex: 0, role: "group", "aria-label": "Layers" }, columns);

    return {
      element: el(
        "section",
        { class: "panel", "aria-labelledby": "overview-title" },
        el(
          "div",
          { class: "panel-head" },
          el("h2", { id: "overview-title" }, "Layer by layer"),
          el("p", { class: "muted" }, `The ${BEST} strongest contexts of each layer`),
        ),
        box,
      ),
      /** @param {number} i position in layers */
      show(i) {
        columns.forEach((column, place) => column.classList.toggle("chosen", place === i));
        // Only sideways: the page itself must not jump.
        // Where two columns fit, the layer before stands beside the chosen one.
        const first = box.clientWidth >= 2 * columns[i].offsetWidth ? Math.max(0, i - 1) : i;
        box.scrollLeft = columns[first].offsetLeft - columns[0].offsetLeft;
      },
    };
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
