/* What the run is: the head of the list, in one title and two lines. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format, route } = tfvis;
  const WHAT = [
    "The model gives every token, at every layer, a vector: its hidden state x.",
    "A transformer factor φ is a direction in hidden-state space; here one dictionary of them serves all layers, and each x is a sum of a few of them, x = Σ α φ + ε, with activations α ≥ 0 and a residual ε.",
    "Read a factor by the words and contexts that fire it, and by the layers where it is important.",
  ];

  /** A number and what it counts. @param {string} value @param {string} label @param {string} title @param {string} [term] its definition */
  function figure(value, label, title, term) {
    return el(
      "div",
      { class: "figure", title },
      el("dt", null, term ? el("a", { href: route.about(term) }, label) : label),
      el("dd", null, value),
    );
  }

  tfvis.runHeader = (manifest) => {
    const { counts } = manifest;
    const report = new Map(manifest.report);
    /** @param {string} name */
    const scalar = (name) => {
      const value = report.get(name);
      return typeof value === "number" ? value : null;
    };
    const [fvu, l0, tokens] = ["fvu", "l0", "tokens"].map(scalar);
    const about = [
      manifest.model,
      manifest.corpus,
      format.layers(manifest.layers),
      `${format.count(counts.factors)} factors`,
      format.codes(manifest.l1_penalty),
    ];
    return el(
      "header",
      { class: "run" },
      el("h1", null, manifest.title),
      el(
        "div",
        { class: "introduced" },
        el(
          "div",
          null,
          WHAT.map((sentence) => el("p", null, sentence)),
        ),
        tfvis.picture(manifest.layers),
      ),
      tfvis.data.live.outdated &&
        el("p", { class: "notice", role: "note" }, tfvis.data.live.outdated),
      el("p", { class: "about" }, tfvis.parts.inARow(about)),
      el(
        "dl",
        { class: "figures" },
        fvu !== null &&
          figure(
            format.number(fvu),
            "held-out FVU",
            "Fraction of variance unexplained on held-out text; 0 means perfect reconstruction",
            "fvu",
          ),
        l0 !== null &&
          figure(
            format.number(l0),
            "L0",
            "Mean number of active factors per token",
            "l0",
          ),
        figure(
          `${format.count(counts.alive)} of ${format.count(counts.factors)}`,
          "alive",
          "Factors that fire at least once on this corpus",
          "alive",
        ),
        tokens !== null &&
          figure(format.compact(tokens), "tokens", format.count(tokens)),
      ),
      el(
        "p",
        { class: "report" },
        el("a", { href: route.run() }, "More about this run"),
      ),
    );
  };
}
