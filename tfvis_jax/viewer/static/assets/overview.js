/* All layers side by side: how the meaning of a factor shifts. */
"use strict";
{
  const { el } = tfvis.dom;
  const { contexts, format, glyphs, passage } = tfvis;
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

  tfvis.overview = (factor, layers, choose) => {
    const largest = format.largest(factor.activation);

    /** Highlights a text in all layers. @param {number} text @param {boolean} on */
    function light(text, on) {
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
              factor.contexts[i].slice(0, BEST).map((entry) => {
                const [text, value] = entry;
                const [before, word, after, title] = factor.texts[text];
                return el(
                  "li",
                  {
                    "data-text": text,
                    dir: "auto",
                    title,
                    on: {
                      mouseenter: () => light(text, true),
                      mouseleave: () => light(text, false),
                    },
                  },
                  passage.before(factor.texts[text], entry, largest, tail(before)),
                  glyphs.mark(word, value, largest),
                  passage.after(factor.texts[text], entry, largest, head(after)),
                );
              }),
            )
          : el(
              "p",
              { class: "muted" },
              factor.activation[i]
                ? "No examples stored."
                : `Never fires in layer ${layer}.`,
            ),
      ),
    );
    const box = el(
      "div",
      { class: "columns", tabindex: 0, role: "group", "aria-label": "Layers" },
      columns,
    );

    /** Examples of the layers where it has any. */
    const groups = () =>
      layers.flatMap((layer, i) =>
        factor.contexts[i].length
          ? { name: `Layer ${layer}`, entries: factor.contexts[i].slice(0, BEST) }
          : [],
      );
    const take = tfvis.take({
      title: "examples layer by layer",
      name: () => [`factor-${factor.factor}`, "layer-by-layer"],
      parts: [
        {
          label: "Examples",
          head: () => `${glyphs.phi(factor.factor)}: top examples layer by layer`,
          svg: () => tfvis.draw.contexts(factor, groups(), largest),
          table: () => contexts.table(factor, layers, factor.contexts, "top"),
        },
      ],
      json: () => contexts.json(factor, layers, factor.contexts, "top"),
      link: () => tfvis.route.factor(factor.factor),
    });

    return {
      element: el(
        "section",
        { class: "panel", "aria-labelledby": "overview-title" },
        el(
          "div",
          { class: "panel-head" },
          el("h2", { id: "overview-title" }, "Layer by layer"),
          el(
            "div",
            { class: "panel-tools" },
            el("p", { class: "muted" }, `Top ${BEST} examples per layer`),
            take,
          ),
        ),
        box,
      ),
      show(i) {
        for (const [place, column] of columns.entries()) {
          column.classList.toggle("chosen", place === i);
        }
        // Only sideways: the page itself must not jump.
        // Where two columns fit, the layer before stands beside the chosen one.
        const first =
          box.clientWidth >= 2 * columns[i].offsetWidth ? Math.max(0, i - 1) : i;
        box.scrollLeft = columns[first].offsetLeft - columns[0].offsetLeft;
      },
    };
  };
}
