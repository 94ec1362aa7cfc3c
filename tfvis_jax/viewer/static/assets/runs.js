/* The factors of two runs: #/runs?show=other&sort=cosine&n=100. Which were found twice? */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { data, format, glyphs, parts, route } = tfvis;
  /** Factors of this cosine or more are taken for the same. */
  const [SAME, VERY] = [0.8, 0.9];
  const PAGE = 50;
  const BINS = 20;
  const SHOWN = [
    { show: "", label: "all", fits: () => true },
    { show: "same", label: `found twice (≥ ${SAME})`, fits: (c = 0) => c >= SAME },
    { show: "other", label: `without a match (< ${SAME})`, fits: (c = 0) => c < SAME },
  ];
  const SORTS = [
    { sort: "", label: "most alike first" },
    { sort: "cosine", label: "least alike first" },
    { sort: "number", label: "by number" },
  ];

  /** The share of cosines that reach a threshold. @param {number[]} cosines @param {number} least */
  const share = (cosines, least) =>
    format
      .percent(cosines.filter((c) => c >= least).length / cosines.length)
      .replace(" ", "\u00a0");

  /** @param {number[]} cosines @param {Value} chance */
  function histogram(cosines, chance) {
    const [width, height, top, floor] = [600, 170, 24, 140];
    const counts = Array.from({ length: BINS }, () => 0);
    for (const c of cosines) {
      counts[Math.min(BINS - 1, Math.max(0, Math.floor(c * BINS)))] += 1;
    }
    const most = Math.max(...counts);
    /** @param {number} c */
    const x = (c) => 12 + c * (width - 24);
    /** A line across, with what it marks. @param {number} c @param {string} label */
    const rule = (c, label) => [
      svg("line", { class: "mark", x1: x(c), x2: x(c), y1: top - 6, y2: floor }),
      svg("text", { x: x(c), y: 12, "text-anchor": "middle" }, label),
    ];
    const bins = counts.map((n, i) => `${(i / BINS).toFixed(2)}: ${n}`);
    return svg(
      "svg",
      {
        class: "chart cosines",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `Factors by the cosine of their best match. ${bins.join(", ")}`,
      },
      counts.map((n, i) => {
        const size = n ? Math.max(1.5, (n / most) * (floor - top)) : 0;
        return svg("rect", {
          class: i / BINS >= SAME ? "bar peak" : "bar",
          x: (x(i / BINS) + 1).toFixed(1),
          y: (floor - size).toFixed(1),
          width: ((width - 24) / BINS - 2).toFixed(1),
          height: size.toFixed(1),
          rx: 1.5,
        });
      }),
      rule(SAME, `same ≥ ${SAME}`),
      chance !== null && rule(chance, "by chance"),
      svg("line", { class: "grid", x1: 12, x2: width - 12, y1: floor, y2: floor }),
      [0, 0.25, 0.5, 0.75, 1].map((c) =>
        svg("text", { x: x(c), y: height - 12, "text-anchor": "middle" }, c),
      ),
    );
  }

  /** @param {number} factor @param {Beside} beside @param {Set<number>} mutual @returns {Child[]} */
  function row(factor, beside, mutual) {
    const match = beside.nearest[factor];
    const cosine = beside.cosine[factor];
    return [
      el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`),
      el("span", { dir: "auto" }, glyphs.label(data.label(factor)), glyphs.few(factor)),
      [
        el("span", {
          class: "meter",
          style: { "--share": Math.max(0, cosine).toFixed(3) },
        }),
        format.even(cosine),
      ],
      `Φ${match}`,
      el(
        "span",
        { dir: "auto" },
        glyphs.label(beside.labels[match] || null),
        glyphs.listed(beside.words[match]),
      ),
      mutual.has(factor) ? "yes" : "no",
    ];
  }

  /** @param {Route} at @param {List} list */
  tfvis.pages.runs = async (at, list) => {
    const { manifest } = data;
    const trail = parts.trail(
      list,
      el("a", { href: route.run() }, "How this run was made"),
    );
    const keys = { Escape: () => route.go(list.address()) };
    const title = `Two runs · ${manifest.title}`;
    if (!manifest.beside) {
      return {
        element: el(
          "article",
          { class: "page" },
          trail,
          el("h1", null, "Two runs beside each other"),
          el(
            "p",
            { class: "notice" },
            "These files hold one run. ",
            el("code", null, "tfvis export RUN --beside=OTHER"),
            " writes a page that compares its factors with those of another.",
          ),
        ),
        title,
        keys,
      };
    }
    const beside = /** @type {Beside} */ (await tfvis.load("data/beside"));
    const alive = [...beside.cosine.keys()].filter((factor) => !data.isDead(factor));
    const cosines = alive.map((factor) => beside.cosine[factor]);
    const sorted = [...cosines].sort((a, b) => a - b);
    const paired = alive.map((factor) => beside.partner_cosine[factor] ?? 0);
    const mutual = new Set(
      alive.filter((factor) => beside.partner[factor] === beside.nearest[factor]),
    );

    /** @param {URLSearchParams} params */
    const read = (params) => ({
      show: SHOWN.find(({ show }) => show === params.get("show")) ?? SHOWN[0],
      sort: SORTS.find(({ sort }) => sort === params.get("sort")) ?? SORTS[0],
      n: Math.max(PAGE, Number(params.get("n")) || 0),
    });
    let state = read(at.params);

    /** @param {Params} change */
    const go = (change) =>
      route.go(
        route.runs({
          ...{ show: state.show.show, sort: state.sort.sort, n: null },
          ...change,
        }),
      );

    /** @param {string} id @param {string} label @param {string[][]} options @param {(value: string) => void} choose */
    function select(id, label, options, choose) {
      /** @type {HTMLSelectElement} */
      const field = el(
        "select",
        { id, on: { change: () => choose(field.value) } },
        options.map(([value, text]) => el("option", { value }, text)),
      );
      return {
        field,
        element: el("label", { class: "field", for: id }, `${label} `, field),
      };
    }
    const show = select(
      "runs-show",
      "Factors",
      SHOWN.map((each) => [each.show, each.label]),
      (value) => go({ show: value }),
    );
    const sort = select(
      "runs-sort",
      "Order",
      SORTS.map((each) => [each.sort, each.label]),
      (value) => go({ sort: value }),
    );
    const count = el("span", { class: "found", role: "status" });
    const table = el("div");
    const more = parts.button("Show more", () => go({ n: 2 * state.n }));

    function draw() {
      show.field.value = state.show.show;
      sort.field.value = state.sort.sort;
      const found = alive.filter((factor) => state.show.fits(beside.cosine[factor]));
      const sign = { "": -1, cosine: 1, number: 0 }[state.sort.sort] ?? 0;
      found.sort((a, b) => sign * (beside.cosine[a] - beside.cosine[b]) || a - b);
      count.textContent = `${format.count(found.length)} of ${format.count(alive.length)}`;
      table.replaceChildren(
        parts.table(
          ["Factor", "Words", "Cosine", "There", "Words there", "One to one"],
          found.slice(0, state.n).map((factor) => row(factor, beside, mutual)),
        ),
      );
      more.hidden = found.length <= state.n;
    }
    draw();

    const take = tfvis.take({
      title: "the comparison of two runs",
      name: () => ["beside", beside.title],
      parts: [
        {
          label: "Distribution",
          svg: () => histogram(cosines, beside.by_chance),
        },
        {
          label: "All factors",
          table: () => ({
            columns: [
              ...["factor", "words", "cosine", "best match", "its words"],
              ...["one-to-one match", "its cosine"],
            ],
            rows: alive.map((factor) => [
              factor,
              data
                .words(factor)
                .map(([word]) => word)
                .join(" "),
              beside.cosine[factor],
              beside.nearest[factor],
              beside.words[beside.nearest[factor]].join(" "),
              beside.partner[factor],
              beside.partner_cosine[factor],
            ]),
          }),
        },
      ],
      json: () => beside,
    });
    return {
      element: el(
        "article",
        { class: "runs-page page" },
        trail,
        el("h1", null, "Which factors were found twice?"),
        el(
          "p",
          { class: "lead" },
          "Beside this run stands ",
          el("b", null, el("bdi", null, beside.title)),
          ` (${beside.corpus}, ${format.codes(beside.l1_penalty)}, ${format.count(beside.words.length)} factors). Of ${format.count(alive.length)} living factors, ${share(cosines, SAME)} have one there in nearly the same direction (cosine ≥ ${SAME}), ${share(cosines, VERY)} one of ≥ ${VERY}; the median is ${format.even(sorted[Math.floor(sorted.length / 2)])}. Among as many random directions the best match would have ${format.number(beside.by_chance)}. Matched one to one, ${share(paired, SAME)} reach ${SAME}.`,
        ),
        parts.panel(
          "Factors by the cosine of their best match",
          take,
          histogram(cosines, beside.by_chance),
        ),
        parts.panel(
          "Factor by factor",
          el("div", { class: "panel-tools" }, show.element, sort.element, count),
          el(
            "div",
            { class: "wide", tabindex: 0, role: "group", "aria-label": "Table" },
            table,
          ),
          more,
        ),
      ),
      title,
      update(next) {
        if (next.page !== "runs") return false;
        state = read(next.params);
        draw();
        return true;
      },
      keys,
    };
  };
}
