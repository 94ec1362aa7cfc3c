/* What the run is: the head of the list, in one title and two lines. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { el } = tfvis.dom;
  const { format } = tfvis;

  /** A number with what it counts. */
  function figure(value, label, title) {
    return el(
      "div",
      { class: "figure", title },
      el("dt", null, label),
      el("dd", null, value),
    );
  }

  /** The rest of the report: scalars as pairs, sequences as one row per name. */
  function more(manifest) {
    const known = ["fvu", "l0", "tokens"];
    const scalars = manifest.report.filter(
      ([name, value]) => !Array.isArray(value) && !known.includes(name),
    );
    const perLayer = manifest.report.filter(([, value]) => Array.isArray(value));
    if (!scalars.length && !perLayer.length) return null;
    const show = (value) => (typeof value === "string" ? value : format.number(value));
    return el(
      "details",
      { class: "report" },
      el("summary", null, "More about this run"),
      scalars.length > 0 &&
        el(
          "dl",
          { class: "pairs" },
          scalars.map(([name, value]) => [el("dt", null, name), el("dd", null, show(value))]),
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

  /** @param {Manifest} manifest */
  tfvis.runHeader = function (manifest) {
    const { counts } = manifest;
    const report = new Map(manifest.report);
    const scalar = (name) => {
      const value = report.get(name);
      return typeof value === "number" ? value : null;
    };
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
      el(
        "p",
        { class: "about" },
        about.map((part) => [el("span", { class: "part" }, part), " "]),
      ),
      el(
        "dl",
        { class: "figures" },
        scalar("fvu") !== null &&
          figure(
            format.number(scalar("fvu")),
            "held-out FVU",
            "Fraction of variance unexplained on held-out text; 0 is perfect",
          ),
        scalar("l0") !== null &&
          figure(format.number(scalar("l0")), "L0", "Mean number of factors per token"),
        figure(
          `${format.count(counts.alive)} of ${format.count(counts.factors)}`,
          "alive",
          "Factors that fire at least once on this corpus",
        ),
        scalar("tokens") !== null &&
          figure(format.compact(scalar("tokens")), "tokens", format.count(scalar("tokens"))),
      ),
      more(manifest),
    );
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
