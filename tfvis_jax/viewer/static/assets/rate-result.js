/* What came of ratings: shares by band with intervals, raters side by side, all factors. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { data, format, parts, rated, ratings, route } = tfvis;
  /** @type {[RatedBand, string][]} */
  const BANDS = [
    ["top", "Strongest"],
    ["upper", "90–99 %"],
    ["middle", "50–90 %"],
    ["random", "Random firings"],
    ["decoy", "Decoys"],
  ];
  const WIDTH = 150;
  const PLACE = new Map(BANDS.map(([band, label]) => [band, label]));

  /** "90 %", in whole percent. @param {number} share */
  const percent = (share) => `${Math.round(100 * share)} %`;

  /** @param {RatedShare} share */
  function range({ fits, n }) {
    const [low, high] = rated.wilson(fits, n);
    return `${Math.round(100 * low)}–${Math.round(100 * high)} %`;
  }

  /** A share and its interval on a line from 0 to 1. @param {RatedShare} share */
  function whisker({ fits, n }) {
    const [low, high] = rated.wilson(fits, n).map((each) => 5 + each * (WIDTH - 10));
    const at = 5 + (fits / n) * (WIDTH - 10);
    return svg(
      "svg",
      { class: "whisker", width: WIDTH, height: 20, "aria-hidden": "true" },
      svg("line", { class: "scale", x1: 5, x2: WIDTH - 5, y1: 10, y2: 10 }),
      [5, WIDTH / 2, WIDTH - 5].map((x) =>
        svg("line", { class: "scale", x1: x, x2: x, y1: 6, y2: 14 }),
      ),
      svg("line", { class: "range", x1: low, x2: high, y1: 10, y2: 10 }),
      svg("circle", { class: "share", cx: at, cy: 10, r: 5 }),
    );
  }

  /** @param {Rating} rating @param {RatedBand} band */
  const skipped = (rating, band) =>
    rating.judged.filter((each) => each.band === band && each.says === "skip").length;

  /** @param {Rating} rating */
  const who = (rating) => el("bdi", null, rating.by || "no name");

  /** @param {Rating} rating @param {RatedItem[]} items */
  function headline(rating, items) {
    const top = rated.share(rating.judged, "top");
    const decoys = rated.share(rating.judged, "decoy");
    const said = new Set(rating.judged.map((each) => each.context));
    const left = items.filter((each) => !said.has(each.id)).length;
    return [
      el(
        "p",
        { class: "verdict" },
        top.n > 0
          ? [
              el("b", null, percent(top.fits / top.n)),
              ` of the strongest contexts fit: ${top.fits} of ${top.n}, 95 % interval ${range(top)}.`,
            ]
          : "None of the strongest contexts is judged yet.",
      ),
      decoys.fits > decoys.n / 5 &&
        el(
          "p",
          { class: "narrow" },
          `${decoys.fits} of ${decoys.n} decoys fit as well: what it is said to stand for may be so wide that any text fits.`,
        ),
      left > 0 &&
        el(
          "p",
          { class: "muted" },
          `${left} of ${items.length} contexts are not judged yet. `,
          el(
            "a",
            {
              href: route.rate(rating.factor, { layer: rating.layer, step: "judge" }),
            },
            "Go on",
          ),
        ),
    ];
  }

  /** @param {Rating} rating */
  function bands(rating) {
    const rows = BANDS.map(([band, label]) => ({
      ...{ band, label, share: rated.share(rating.judged, band) },
      skip: skipped(rating, band),
    })).filter(({ share, skip }) => share.n + skip > 0);
    const table = parts.table(
      ["Contexts", "Fit", "Skipped", "Share", "95 % interval", "0 to 100 %"],
      rows.map(({ label, share, skip }) => [
        label,
        `${share.fits} of ${share.n}`,
        skip || "–",
        share.n > 0 ? percent(share.fits / share.n) : "–",
        share.n > 0 ? range(share) : "–",
        share.n > 0 ? whisker(share) : null,
      ]),
    );
    return el(
      "div",
      { class: "wide", tabindex: 0, role: "region", "aria-label": "By band" },
      table,
    );
  }

  /** @param {RatedItem} each */
  const context = ({ before, word, after, title, from, alpha, band }) =>
    el(
      "li",
      null,
      el("p", { dir: "auto" }, before, tfvis.glyphs.mark(word, 0, 0), after),
      el(
        "p",
        { class: "muted" },
        from === null
          ? `${PLACE.get(band)}, α ${format.even(alpha)}`
          : ["decoy, from ", el("a", { href: route.factor(from) }, `Φ${from}`)],
        " · ",
        el("bdi", null, title),
      ),
    );

  /** What fits badly, to look at again. @param {Rating} rating @param {RatedItem[]} items */
  function surprises(rating, items) {
    const said = new Map(rating.judged.map(({ context: id, says }) => [id, says]));
    const odd = items.filter(({ id, band }) =>
      band === "decoy" ? said.get(id) === "fits" : said.get(id) === "not",
    );
    if (odd.length === 0) return null;
    return parts.panel(
      "What did not go as expected",
      null,
      el(
        "p",
        { class: "muted note" },
        "The factor’s own contexts that do not fit, and decoys that do.",
      ),
      el("ol", { class: "odd" }, odd.map(context)),
    );
  }

  /** @param {number} factor */
  function agreement(factor) {
    const all = ratings.all().filter((each) => each.factor === factor);
    const pairs = all.flatMap((a, i) =>
      all.slice(i + 1).flatMap((b) => {
        const found = rated.agreement(a, b);
        return a.layer === b.layer && found.n > 0 ? { a, b, ...found } : [];
      }),
    );
    return parts.panel(
      "All raters of this factor",
      null,
      el(
        "div",
        { class: "wide", tabindex: 0, role: "region", "aria-label": "Raters" },
        parts.table(
          [
            "Rater",
            "Layer",
            "Strongest that fit",
            "Decoys that fit",
            "It stands for",
            "Saved",
          ],
          all.map((rating) => {
            const top = rated.share(rating.judged, "top");
            const decoys = rated.share(rating.judged, "decoy");
            return [
              who(rating),
              el(
                "a",
                { href: route.rate(factor, { layer: rating.layer, step: "result" }) },
                rating.layer,
              ),
              top.n > 0
                ? `${percent(top.fits / top.n)} (${range(top)}), ${top.n}`
                : "–",
              `${decoys.fits} of ${decoys.n}`,
              el("bdi", { class: "stands" }, rating.hypothesis || "–"),
              ratings.unsaved(rating)
                ? ratings.editable
                  ? "not saved yet"
                  : "in this browser"
                : rating.changed,
            ];
          }),
        ),
      ),
      pairs.map(({ a, b, n, same, kappa }) =>
        el(
          "p",
          { class: "kappa" },
          who(a),
          " and ",
          who(b),
          ` at layer ${a.layer}: ${n} contexts judged by both, ${percent(same / n)} alike, `,
          kappa === null
            ? "no κ, since both always say the same."
            : [`Cohen’s κ `, el("b", null, kappa.toFixed(2)), "."],
        ),
      ),
    );
  }

  /** Files of ratings: in, out, into the run. @param {Rating|null} rating @param {() => void} changed */
  function tools(rating, changed) {
    const said = el("p", { class: "muted", role: "status" });
    /** @param {() => unknown} act */
    const tell = (act) => async () => {
      try {
        said.className = "muted";
        const text = String((await act()) ?? "");
        changed();
        said.textContent = text;
      } catch (error) {
        said.className = "notice";
        said.textContent = parts.why(error);
      }
    };
    /** @type {HTMLInputElement} */
    const open = el("input", {
      ...{ type: "file", accept: ".json,application/json", class: "unseen" },
      ...{ tabindex: -1, "aria-hidden": "true" },
      on: {
        change: tell(async () => {
          const [file] = open.files ?? [];
          if (!file) return "";
          const n = await ratings.take(file);
          open.value = "";
          return `Opened ${file.name}: ${n} ${n === 1 ? "rating" : "ratings"}.`;
        }),
      },
    });
    const none = ratings.all().length === 0;
    const download = parts.button("Download ratings.json", () => ratings.download(), {
      disabled: none,
      "aria-describedby": none ? "nothing-rated" : null,
    });
    const element = el(
      "div",
      { class: "rate-tools" },
      rating &&
        ratings.editable &&
        parts.button(
          "Save in the run",
          tell(async () => {
            const now = ratings.find(rating.factor, rating.layer, rating.by);
            if (now) await ratings.send(now);
            return "Saved in the run.";
          }),
          { class: "button main-button" },
        ),
      download,
      parts.button("Open ratings …", () => open.click()),
      open,
      none &&
        el(
          "span",
          { class: "muted", id: "nothing-rated" },
          "Nothing is rated yet, so there is nothing to download.",
        ),
      said,
    );
    return element;
  }

  tfvis.rateResult = (rating, items) => {
    const take = tfvis.take({
      title: "the result",
      name: () => [
        `factor-${rating.factor}`,
        `layer-${rating.layer}`,
        "rated",
        rating.by,
      ],
      parts: [
        {
          label: "Shares",
          table: () => ({
            columns: [
              ...["factor", "layer", "rater", "stands for", "band", "fit", "judged"],
              ...["share", "95 % low", "95 % high", "skipped"],
            ],
            rows: BANDS.map(([band]) => {
              const { fits, n } = rated.share(rating.judged, band);
              return [
                ...[rating.factor, rating.layer, rating.by, rating.hypothesis, band],
                ...[fits, n, n > 0 ? fits / n : null, ...rated.wilson(fits, n)],
                skipped(rating, band),
              ];
            }),
          }),
        },
      ],
      json: () => ({ ...rating }),
    });
    const result = el("div");
    const others = el("div");
    const draw = () => {
      others.replaceChildren(agreement(rating.factor));
    };
    result.append(
      parts.panel(
        "Result",
        take,
        headline(rating, items),
        bands(rating),
        tools(rating, draw),
      ),
    );
    draw();
    return el("div", null, result, surprises(rating, items) ?? "", others);
  };

  /** All ratings of the run, as the paper's table 3: factors by layers. */
  tfvis.ratedFactors = () => {
    const box = el("div");
    const rows = () => {
      /** @type {Map<string, Rating[]>} */
      const found = new Map();
      for (const rating of ratings.all()) {
        const name = JSON.stringify([rating.factor, rating.by]);
        found.set(name, [...(found.get(name) ?? []), rating]);
      }
      return [...found.values()];
    };
    const layers = () =>
      data.manifest.layers.filter((layer) =>
        ratings.all().some((each) => each.layer === layer),
      );
    const take = tfvis.take({
      title: "all ratings",
      name: () => ["ratings"],
      parts: [
        {
          label: "Factors by layers",
          table: () => ({
            columns: [
              ...["factor", "rater", "stands for", "layer", "strongest that fit"],
              ...[
                "judged",
                "95 % low",
                "95 % high",
                "decoys that fit",
                "decoys judged",
              ],
            ],
            rows: ratings.all().map((rating) => {
              const top = rated.share(rating.judged, "top");
              const decoys = rated.share(rating.judged, "decoy");
              return [
                ...[rating.factor, rating.by, rating.hypothesis, rating.layer],
                ...[top.fits, top.n, ...rated.wilson(top.fits, top.n)],
                ...[decoys.fits, decoys.n],
              ];
            }),
          }),
        },
      ],
      json: () => ({ ratings: ratings.all() }),
    });
    function draw() {
      const all = rows();
      take.hidden = all.length === 0;
      box.replaceChildren(
        all.length === 0
          ? el("p", { class: "muted" }, "Nobody has rated a factor yet.")
          : el(
              "div",
              { class: "wide", tabindex: 0, role: "region", "aria-label": "Ratings" },
              parts.table(
                [
                  ...["Factor", "Stands for", "Rater"],
                  ...layers().map((layer) => `Layer ${layer}`),
                  "Decoys",
                ],
                all.map((of) => {
                  const [{ factor, hypothesis }] = of;
                  const decoys = of.map(({ judged }) => rated.share(judged, "decoy"));
                  const sum = (/** @type {"fits"|"n"} */ part) =>
                    decoys.reduce((total, each) => total + each[part], 0);
                  return [
                    el("a", { href: route.factor(factor) }, `Φ${factor}`),
                    el("bdi", { class: "stands" }, hypothesis || "–"),
                    who(of[0]),
                    ...layers().map((layer) => {
                      const rating = of.find((each) => each.layer === layer);
                      if (!rating) return "–";
                      const top = rated.share(rating.judged, "top");
                      return el(
                        "a",
                        { href: route.rate(factor, { layer, step: "result" }) },
                        top.n > 0
                          ? `${percent(top.fits / top.n)} (${range(top)})`
                          : "0",
                      );
                    }),
                    `${sum("fits")} of ${sum("n")}`,
                  ];
                }),
              ),
            ),
        tools(null, draw),
      );
    }
    draw();
    return parts.panel("Share of the strongest contexts that fit", take, box);
  };
}
