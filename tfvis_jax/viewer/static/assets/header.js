/* What the run is: the head of the list, in one title and two lines. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  const WHAT =
    "A transformer factor is a direction in hidden-state space, shared by all layers: " +
    "each hidden state is approximated by a sparse, non-negative sum of factors.";

  /** A number and what it counts. @param {string} value @param {string} label @param {string} title */
  function figure(value, label, title) {
    return el(
      "div",
      { class: "figure", title },
      el("dt", null, label),
      el("dd", null, value),
    );
  }

  /**
   * The rest of the report: scalars as pairs, sequences as one row per name.
   * @param {Manifest} manifest
   */
  function more(manifest) {
    const known = ["fvu", "l0", "tokens"];
    /** @type {[string, string][]} */
    const scalars = [];
    /** @type {[string, Value[]][]} */
    const perLayer = [];
    for (const [name, value] of manifest.report) {
      if (Array.isArray(value)) perLayer.push([name, value]);
      else if (!known.includes(name)) {
        scalars.push([name, typeof value === "string" ? value : format.number(value)]);
      }
    }
    if (!scalars.length && !perLayer.length) return null;
    return el(
      "details",
      { class: "report" },
      el("summary", null, "More about this run"),
      scalars.length > 0 &&
        el(
          "dl",
          { class: "pairs" },
          scalars.map(([name, value]) => [el("dt", null, name), el("dd", null, value)]),
        ),
      perLayer.length > 0 &&
        el(
          "div",
          { class: "wide" },
          el(
            "table",
            { class: "plain" },
            el(
              "tr",
              null,
              el("th", { scope: "col" }, "layer"),
              manifest.layers.map((layer) => el("th", { scope: "col" }, layer)),
            ),
            perLayer.map(([name, values]) =>
              el(
                "tr",
                null,
                el("th", { scope: "row" }, name),
                values.map((value) => el("td", null, format.even(value))),
              ),
            ),
          ),
        ),
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
      `λ ${format.number(manifest.l1_penalty)}`,
    ];
    return el(
      "header",
      { class: "run" },
      el("h1", null, manifest.title),
      el("p", { class: "lead" }, WHAT),
      el(
        "p",
        { class: "about" },
        about.map((part) => [el("span", { class: "part" }, part), " "]),
      ),
      el(
        "dl",
        { class: "figures" },
        fvu !== null &&
          figure(
            format.number(fvu),
            "held-out FVU",
            "Fraction of variance unexplained on held-out text; 0 means perfect reconstruction",
          ),
        l0 !== null &&
          figure(format.number(l0), "L0", "Mean number of active factors per token"),
        figure(
          `${format.count(counts.alive)} of ${format.count(counts.factors)}`,
          "alive",
          "Factors that fire at least once on this corpus",
        ),
        tokens !== null &&
          figure(format.compact(tokens), "tokens", format.count(tokens)),
      ),
      more(manifest),
    );
  };
}
