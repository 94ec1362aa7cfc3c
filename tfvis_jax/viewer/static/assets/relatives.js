/* What is related to a factor: by direction, by the tokens it fires on, by vocabulary. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route } = tfvis;

  /** @param {number} factor */
  const words = (factor) =>
    data.isDead(factor)
      ? el("span", { class: "muted" }, "dead")
      : [glyphs.label(data.label(factor)), glyphs.few(factor)];

  /** @param {[number, Value][]} found */
  const list = (found) =>
    el(
      "ol",
      { class: "relations" },
      found.map(([factor, score]) =>
        el(
          "li",
          null,
          el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`),
          el("span", { dir: "auto" }, words(factor)),
          el("span", { class: "value" }, format.even(score)),
        ),
      ),
    );

  /** @param {string} title @param {[string, Value][]} found */
  const entries = (title, found) => [
    el("h3", null, title),
    el(
      "ol",
      { class: "relations pieces" },
      found.map(([piece, change]) =>
        el(
          "li",
          null,
          el("bdi", null, piece),
          el("span", { class: "value" }, format.even(change)),
        ),
      ),
    ),
  ];

  tfvis.relatives = (factor, layers) => {
    const { nearest = [], together = [], raises = [], lowers = [] } = factor;
    if (!nearest.length) return null;
    const place = el("div");
    const heading = el("h3");
    return {
      element: el(
        "section",
        { class: "panel", "aria-labelledby": "relatives-title" },
        el("h2", { id: "relatives-title" }, "Related factors"),
        el(
          "div",
          { class: "relatives" },
          el(
            "div",
            null,
            el("h3", null, "Similar direction"),
            el("p", { class: "muted" }, "cosine of the two directions"),
            list(nearest),
          ),
          el(
            "div",
            null,
            heading,
            el(
              "p",
              { class: "muted" },
              "tokens that fire both, of those that fire either (Jaccard index)",
            ),
            place,
          ),
          raises.length > 0 &&
            el(
              "div",
              null,
              entries("Makes likelier", raises),
              entries("Makes less likely", lowers),
              el(
                "p",
                { class: "muted" },
                "change of the masked-LM logit of a word piece, by the factor’s typical part of a hidden state. It says little of a factor of early layers.",
              ),
            ),
        ),
      ),
      show(i) {
        heading.textContent = `Fires on the same tokens at layer ${layers[i]}`;
        const found = together[i] ?? [];
        place.replaceChildren(
          found.length > 0
            ? list(found)
            : el(
                "p",
                { class: "muted" },
                factor.activation[i]
                  ? "None was counted: no other factor fires on its tokens often, or the run has too many factors to count pairs."
                  : `It never fires in layer ${layers[i]}.`,
              ),
        );
      },
    };
  };
}
