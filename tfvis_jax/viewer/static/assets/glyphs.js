/* Small marks used on both pages: levels, sparklines, words. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { el, svg } = tfvis.dom;
  const SHAPES = { low: "●", mid: "▲", high: "■", unclear: "○" };
  const BAR = 8;
  const GAP = 2;
  const HEIGHT = 26;

  tfvis.glyphs = {
    /** Level by shape, word and colour. @param {string} level */
    level: (level) =>
      el(
        "span",
        { class: `level level-${level}` },
        el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[level]),
        level,
      ),

    /**
     * Bars of importance over the layers, as high as the factor's greatest.
     * @param {(number|null)[]} importance @param {number[]} layers
     */
    spark(importance, layers) {
      const greatest = Math.max(0, ...importance.filter((x) => x !== null));
      const width = importance.length * (BAR + GAP) - GAP;
      const text = importance
        .map((x, i) => `layer ${layers[i]}: ${tfvis.format.number(x)}`)
        .join(", ");
      return svg(
        "svg",
        {
          class: "spark",
          viewBox: `0 0 ${width} ${HEIGHT}`,
          preserveAspectRatio: "none",
          role: "img",
          "aria-label": `Importance by layer. ${text}`,
          style: { "--bars": importance.length },
        },
        svg("title", null, text),
        importance.map((x, i) => {
          const share = greatest > 0 && x ? x / greatest : 0;
          const height = Math.max(1.5, share * HEIGHT);
          return svg("rect", {
            class: share === 1 ? "bar peak" : share ? "bar" : "bar none",
            x: i * (BAR + GAP),
            y: HEIGHT - height,
            width: BAR,
            height,
            rx: 1,
          });
        }),
      );
    },

    /** What somebody calls a factor. @param {string|null} text */
    label: (text) => text !== null && [el("bdi", { class: "label", title: text }, text), " "],

    /**
     * Words with counts; those that a search hit come first.
     * @param {[string, number][]} words @param {{terms?: string[], limit?: number}} [options]
     */
    words(words, { terms = [], limit = 8 } = {}) {
      const hit = (word) => terms.some((t) => tfvis.select.fold(word).startsWith(t));
      const first = words.filter(([word]) => hit(word));
      const rest = words.filter(([word]) => !hit(word));
      return el(
        "span",
        { class: "words" },
        [...first, ...rest].slice(0, limit).map(([word, count], i) => [
          i > 0 ? " " : null,
          el(
            "span",
            { class: i < first.length ? "word hit" : "word" },
            el("bdi", null, word),
            el("small", { title: `${count} of the contexts mark it` }, ` ${count}`),
          ),
        ]),
      );
    },
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
