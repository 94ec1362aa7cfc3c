/* How far the factors of a run can be trusted: what is good, and what to mind. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  /** Variance that the factors explain, duality gap, share of dead factors: good enough. */
  const [EXPLAINED, GAP, DEAD] = [0.7, 1e-3, 0.01];
  /** A layer is named if its unexplained variance is this many times that of all. */
  const WORSE = 1.2;

  /** @param {boolean} good @param {...Child} says */
  const line = (good, ...says) =>
    el(
      "li",
      { class: good ? "good" : "mind" },
      el("b", null, good ? "✓ good" : "! mind"),
      el("span", null, says),
    );

  tfvis.quality = (manifest, index, id) => {
    const { counts, layers, level_names: names } = manifest;
    const report = new Map(manifest.report);
    /** @param {string} name */
    const scalar = (name) => {
      const value = report.get(name);
      return typeof value === "number" ? value : null;
    };
    const [fvu, gap] = ["fvu", "mean duality gap"].map(scalar);
    const perLayer = report.get("FVU per layer");
    const worst = Array.isArray(perLayer) ? format.largest(perLayer) : 0;
    const at = Array.isArray(perLayer) ? layers[perLayer.indexOf(worst)] : null;
    const dead = counts.factors - counts.alive;
    const guesses = tfvis.data.guesses(index);
    const unclear = counts.levels[names.indexOf("unclear")] ?? 0;
    const lines = [
      fvu !== null &&
        line(
          1 - fvu >= EXPLAINED,
          `The factors explain ${format.percent(1 - fvu)} of the variance of hidden states of held-out text; ε is the rest.`,
        ),
      fvu !== null &&
        worst > WORSE * fvu &&
        line(
          false,
          `Layer ${at} is explained least: ${format.percent(1 - worst)} of its variance.`,
        ),
      gap !== null &&
        line(
          gap < GAP,
          `Codes are within ${format.number(gap)} of the best ones (mean duality gap, relative to ½‖x‖²).`,
        ),
      line(
        dead <= DEAD * counts.factors,
        dead === 0
          ? "Every factor fires somewhere."
          : `${format.count(dead)} of ${format.count(counts.factors)} factors never fire.`,
      ),
      counts.narrow > 0 &&
        line(
          false,
          `${format.count(counts.narrow)} factors have their strongest tokens from at most two documents: they may show the document.`,
        ),
      guesses === 0
        ? line(
            true,
            "Levels are measured: how much context each factor needs is known.",
          )
        : line(
            false,
            guesses < counts.alive
              ? `${format.count(guesses)} of ${format.count(counts.alive)} levels are guesses: how much context these factors need has not been measured (`
              : "Levels are guesses: how much context a factor needs has not been measured (",
            el("code", null, "tfvis levels"),
            ").",
          ),
      unclear > 0 &&
        line(false, `${format.count(unclear)} factors have no clear level.`),
    ].filter((entry) => entry instanceof Node);
    return el(
      "section",
      { class: "panel quality", "aria-labelledby": id },
      el("h2", { id }, "How good this run is"),
      el("ul", null, lines),
    );
  };
}
