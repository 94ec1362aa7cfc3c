/* What in a sentence makes a factor fire at one token: LIME, on demand. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  const WEAK = 0.5;

  /** The text between tokens is kept. @param {Cell} view @param {Explained} found */
  function map({ head, token }, found) {
    const characters = Array.from(head.text);
    const largest = Math.max(...found.weights.map((w) => Math.abs(w ?? 0)), 1e-12);
    let done = 0;
    const parts = head.spans.map(([from, to], i) => {
      const start = Math.max(from, done);
      const before = characters.slice(done, start).join("");
      const weight = found.weights[i] ?? 0;
      done = Math.max(to, done);
      return [
        before,
        el(
          "span",
          {
            class: `lime-token${weight > 0 ? " for" : weight < 0 ? " against" : ""}${i === token ? " here" : ""}`,
            title: `${weight > 0 ? "+" : ""}${format.number(weight)}`,
            style: { "--strength": (Math.abs(weight) / largest).toFixed(3) },
          },
          characters.slice(start, done).join(""),
        ),
      ];
    });
    return el(
      "p",
      { class: "lime-map", dir: "auto" },
      parts,
      characters.slice(done).join(""),
    );
  }

  /** @param {Cell} view @param {Explained} found */
  const table = (view, found) =>
    tfvis.parts.folded(
      "Weights of the tokens",
      "As table",
      tfvis.parts.table(
        ["token", "weight"],
        found.weights.map((weight, i) => [
          el("bdi", null, tfvis.tokenText(view.head, i)),
          format.number(weight),
        ]),
      ),
    );

  /** @param {Explained} found */
  function quality(found) {
    const error = format.percent(found.relative_error);
    return `α = ${format.even(found.activation)}. R² of the linear fit ${format.number(found.r2)}, from ${format.count(found.samples)} sentences with random tokens replaced by the unknown token; largest standard error ${error} of the largest weight.`;
  }

  tfvis.limePanel = () =>
    tfvis.inquiry({
      id: "lime",
      title: "What makes a factor fire at",
      about:
        "Replaces random tokens of the sentence, and fits α by a linear function of those that are left (LIME).",
      verb: "Explain",
      path: "api/explain",
      question: ({ head, token, layer }, factor) => ({
        text: head.text,
        token,
        layer,
        factor,
      }),
      said: (_, /** @type {Explained} */ found) => quality(found),
      drawn: (view, /** @type {Explained} */ found) => [
        map(view, found),
        table(view, found),
        ...((found.r2 ?? 0) < WEAK
          ? [
              el(
                "p",
                { class: "narrow" },
                "The linear fit explains little of α here: do not read much into the weights.",
              ),
            ]
          : []),
      ],
    });
}
