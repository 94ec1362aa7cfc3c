/* One token through the layers: α of its strongest factors as curves. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { format, glyphs, route } = tfvis;
  const MOST = 5;
  const PAPER = 290;
  const HEIGHT = 190;
  const LEFT = 52;
  const RIGHT = 14;
  const TOP = 12;
  const BOTTOM = 26;
  /** Room for the title of a file. */
  const HEAD = 22;

  /** The factors with the largest α at any layer. @param {TokenCode[]} codes @param {Value} pinned */
  function choose(codes, pinned) {
    /** @type {Map<number, number>} */
    const peaks = new Map();
    for (const code of codes) {
      for (const [factor, alpha] of code.factors) {
        peaks.set(factor, Math.max(peaks.get(factor) ?? 0, alpha ?? 0));
      }
    }
    const chosen = [...peaks]
      .sort(([f, a], [g, b]) => b - a || f - g)
      .slice(0, MOST)
      .map(([factor]) => factor);
    if (pinned !== null && !chosen.includes(pinned)) chosen.splice(MOST - 1, 1, pinned);
    return chosen;
  }

  /** @param {TokenCode[]} codes @param {number} factor */
  const curveOf = (codes, factor) =>
    codes.map((code) => code.factors.find(([f]) => f === factor)?.[1] ?? 0);

  /** A sample of a line, for the legend. @param {number} place */
  const sample = (place) =>
    svg(
      "svg",
      { class: `sample series-${place}`, width: 30, height: 12, "aria-hidden": "true" },
      svg("line", { class: "series", x1: 1, x2: 29, y1: 6, y2: 6 }),
      svg("circle", { class: "dot", cx: 15, cy: 6, r: 3.5 }),
    );

  /** @param {number[]} layers @param {number[][]} curves @param {number} width @param {number} chosen @param {number} top */
  function chart(layers, curves, width, chosen, top) {
    const step = (width - LEFT - RIGHT) / Math.max(1, layers.length - 1);
    /** @param {number} i */
    const x = (i) => (layers.length === 1 ? width / 2 : LEFT + i * step);
    /** @param {number} a */
    const y = (a) => HEIGHT - BOTTOM - (a / top) * (HEIGHT - TOP - BOTTOM);
    return svg(
      "svg",
      {
        class: "chart alphas",
        width,
        height: HEIGHT,
        viewBox: `0 0 ${width} ${HEIGHT}`,
        role: "img",
        "aria-label": "Curves by layer; the table below lists the values",
      },
      svg("line", {
        class: "here",
        x1: x(chosen),
        x2: x(chosen),
        y1: TOP,
        y2: HEIGHT - BOTTOM,
      }),
      [0, top / 2, top].map((a) => [
        svg("line", {
          class: "grid-line",
          x1: LEFT,
          x2: width - RIGHT,
          y1: y(a),
          y2: y(a),
        }),
        svg(
          "text",
          { x: LEFT - 8, y: y(a) + 4, "text-anchor": "end" },
          a === 0 ? "0" : format.even(a),
        ),
      ]),
      layers.map((layer, i) =>
        svg(
          "text",
          { x: x(i), y: HEIGHT - 6, "text-anchor": "middle" },
          i === 0 && step > 60 ? `layer ${layer}` : layer,
        ),
      ),
      curves.map((curve, place) =>
        svg(
          "g",
          { class: `series-${place}` },
          svg("polyline", {
            class: "series",
            points: curve
              .map((a, i) => `${x(i).toFixed(1)},${y(a).toFixed(1)}`)
              .join(" "),
          }),
          curve.map((a, i) =>
            svg("circle", { class: "dot", cx: x(i), cy: y(a), r: 3.5 }),
          ),
        ),
      ),
    );
  }

  tfvis.alphasPanel = (view) => {
    // Those of a comparison have the same factors and the same scale.
    const all = [...view.codes, ...(view.others ?? [])];
    const factors = choose(all, view.pinned);
    const curves = factors.map((factor) => curveOf(view.codes, factor));
    const top = Math.max(1e-6, ...factors.flatMap((factor) => curveOf(all, factor)));
    const box = el("div", { class: "chart-box" });
    /** @param {number} factor */
    const lights = (factor) => ({
      mouseenter: () => view.light(factor),
      mouseleave: () => view.light(null),
      focusin: () => view.light(factor),
      focusout: () => view.light(null),
    });
    const subject =
      view.title ??
      `“${view.token}” at layers ${view.layers[0]} to ${view.layers[view.layers.length - 1]} of “${view.of}”`;
    /** The curves with the names of their factors below, for a file. */
    function sheet() {
      const drawing = chart(view.layers, curves, 640, view.chosen, top);
      const height = HEIGHT + 12 + factors.length * 20;
      drawing.setAttribute("height", String(height + HEAD));
      drawing.setAttribute("viewBox", `0 ${-HEAD} 640 ${height + HEAD}`);
      drawing.append(svg("text", { x: 0, y: 14 - HEAD }, tfvis.draw.fit(subject, 640)));
      for (const [place, factor] of factors.entries()) {
        const y = HEIGHT + 18 + place * 20;
        drawing.append(
          svg(
            "g",
            { class: `series-${place}` },
            svg("line", { class: "series", x1: LEFT, x2: LEFT + 28, y1: y, y2: y }),
            svg("circle", { class: "dot", cx: LEFT + 14, cy: y, r: 3.5 }),
            svg(
              "text",
              { x: LEFT + 38, y: y + 4 },
              `Φ${factor} ${glyphs.name(factor)}`,
            ),
          ),
        );
      }
      return drawing;
    }
    const quantity = view.title ? "importance" : "activation";
    const take = tfvis.take({
      title: view.title ?? `“${view.token}” through the layers${view.where}`,
      name: () =>
        view.title
          ? ["factors", ...factors.map(String)]
          : ["sentence", view.file ?? "", view.token, "layers"],
      subject: () => subject,
      parts: [
        {
          label: "Curves",
          svg: sheet,
          table: () => ({
            columns: [
              "factor",
              "words",
              ...view.layers.map((l) => `${quantity} at layer ${l}`),
            ],
            rows: factors.map((factor, place) => [
              ...[factor, glyphs.name(factor), ...curves[place]],
            ]),
          }),
        },
      ],
      json: () => ({
        token: view.token,
        layers: view.layers,
        factors: factors.map((factor, place) => ({
          factor,
          name: glyphs.name(factor),
          [quantity]: curves[place],
        })),
      }),
    });
    const element = el(
      "section",
      {
        class: "panel",
        "aria-label": view.title ?? `“${view.token}” through the layers${view.where}`,
      },
      el(
        "div",
        { class: "panel-head" },
        el(
          "h2",
          null,
          view.title ?? ["“", el("bdi", null, view.token), "” through the layers"],
        ),
        take,
      ),
      view.where && el("p", { class: "muted of" }, el("bdi", null, view.of)),
      box,
      el(
        "ul",
        { class: "series-list" },
        factors.map((factor, place) =>
          el(
            "li",
            { on: lights(factor) },
            sample(place),
            el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`),
            " ",
            el("span", { dir: "auto" }, glyphs.name(factor)),
          ),
        ),
      ),
      tfvis.parts.folded(
        "Curves",
        "As a table",
        tfvis.parts.table(
          ["α at layer", ...view.layers],
          factors.map((factor, place) => [
            `Φ${factor}`,
            ...curves[place].map(format.even),
          ]),
        ),
      ),
    );

    function draw(width = box.clientWidth) {
      if (width > 0)
        box.replaceChildren(chart(view.layers, curves, width, view.chosen, top));
    }
    const observer = new ResizeObserver(() => draw());
    observer.observe(box);
    const unprint = tfvis.paper(PAPER, draw);
    return {
      element,
      close() {
        observer.disconnect();
        unprint();
      },
    };
  };
}
