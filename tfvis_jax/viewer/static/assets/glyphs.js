/* Small marks used on both pages: levels, sparklines, words. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const SHAPES = { low: "●", mid: "▲", high: "■", unclear: "○" };
  const BAR = 8;
  const GAP = 2;
  const HEIGHT = 26;
  const NAMED = 2;

  tfvis.glyphs = {
    /** Level by shape, word and colour. */
    level: (level) =>
      el(
        "span",
        { class: `level level-${level}` },
        el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[level]),
        level,
      ),

    /** Importance by layer as bars, relative to the factor's largest. */
    spark(importance, layers) {
      const largest = tfvis.format.largest(importance);
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
          const share = largest > 0 && x ? x / largest : 0;
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

    /** User-supplied label; nothing for null. */
    label: (text) =>
      text !== null && [
        el("bdi", { class: "label", title: `User-supplied label: ${text}` }, text),
        " ",
      ],

    /** What a factor is called in a sentence: its label, or its first two words. */
    name(factor) {
      const words = tfvis.data.words(factor).slice(0, NAMED);
      return (
        tfvis.data.label(factor) ??
        (words.map(([word]) => word).join(", ") || `factor ${factor}`)
      );
    },

    /** Words with counts; those that match a search come first. */
    words(words, { terms = [], limit = 8 } = {}) {
      /** @param {string} word */
      const hit = (word) => terms.some((t) => tfvis.select.fold(word).startsWith(t));
      const first = words.filter(([word]) => hit(word));
      const rest = words.filter(([word]) => !hit(word));
      return el(
        "span",
        { class: "words" },
        [...first, ...rest]
          .slice(0, limit)
          .map(([word, count], i) => [
            i > 0 ? " " : null,
            el(
              "span",
              { class: i < first.length ? "word hit" : "word" },
              el("bdi", null, word),
              el(
                "small",
                { title: `marked in ${count} ${count === 1 ? "example" : "examples"}` },
                ` ${count}`,
              ),
            ),
          ]),
      );
    },
  };
}
