/* What a transformer factor is, in one picture: a hidden state as a sum of factors. */
"use strict";
{
  const { svg } = tfvis.dom;
  const CELLS = 9;
  const CELL = 13;
  /** Numbers that look like those of a vector; the same each time. @param {number} seed */
  const vector = (seed) =>
    Array.from({ length: CELLS }, (_, i) => Math.abs(Math.sin(seed * 12.9 + i * 4.7)));

  /** A vector as a column of cells. @param {number} x @param {number} y @param {number} seed @param {string} kind */
  const column = (x, y, seed, kind) =>
    vector(seed).map((value, i) =>
      svg("rect", {
        class: `cell-${kind}`,
        x,
        y: y + i * CELL,
        width: 20,
        height: CELL - 1.5,
        rx: 2,
        "fill-opacity": (0.15 + 0.85 * value).toFixed(2),
      }),
    );

  /** @param {number} x @param {number} y @param {string} words @param {Attributes} [more] */
  const text = (x, y, words, more = {}) => svg("text", { x, y, ...more }, words);

  tfvis.picture = (layers) => {
    const bottom = 34 + CELLS * CELL;
    const shown = [...layers].reverse().slice(0, 7);
    const step = (bottom - 34) / Math.max(1, shown.length);
    const chosen = Math.floor(shown.length / 2);
    /** @type {[number, string, number][]} */
    const terms = [
      [234, "α₁", 2],
      [306, "α₂", 5],
      [378, "α₃", 8],
    ];
    return svg(
      "svg",
      {
        class: "picture",
        viewBox: `0 0 476 ${bottom + 30}`,
        width: 476,
        height: bottom + 30,
        role: "img",
        "aria-label":
          "A token passes the layers of a BERT. Its hidden state x at one layer is written as α₁ φ₁ + α₂ φ₂ + α₃ φ₃ + ε: a few factors of one dictionary for all layers, each times its activation, and a residual.",
      },
      text(0, 18, "layers", { class: "axis-title" }),
      shown.map((layer, i) => [
        svg("rect", {
          class: i === chosen ? "slab here" : "slab",
          x: 0,
          y: 34 + i * step,
          width: 92,
          height: step - 3,
          rx: 3,
        }),
        text(46, 34 + i * step + step / 2 + 3, String(layer), {
          "text-anchor": "middle",
        }),
      ]),
      text(46, bottom + 20, "“bank”", { "text-anchor": "middle", class: "word-in" }),
      svg("path", {
        class: "arrow",
        d: `M96 ${34 + (chosen + 0.5) * step}H136m-6 -4l6 4l-6 4`,
      }),
      column(146, 34, 1, "state"),
      text(156, 24, "x", { "text-anchor": "middle", class: "symbol" }),
      text(192, 98, "=", { "text-anchor": "middle", class: "symbol" }),
      terms.map(([x, alpha, seed], i) => [
        i > 0 && text(x - 36, 98, "+", { "text-anchor": "middle", class: "symbol" }),
        text(x - 14, 98, alpha, { "text-anchor": "middle", class: "symbol" }),
        column(x, 34, seed, `factor-${i}`),
        text(x + 10, 24, `φ${"₁₂₃"[i]}`, { "text-anchor": "middle", class: "symbol" }),
      ]),
      text(420, 98, "+ ε", { "text-anchor": "middle", class: "symbol" }),
      text(316, bottom + 20, "a few of the dictionary’s factors", {
        "text-anchor": "middle",
      }),
    );
  };
}
