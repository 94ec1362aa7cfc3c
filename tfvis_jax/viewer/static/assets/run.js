/* What a run was made from, how good it is, and how its training went: #/run */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { data, format, parts, route } = tfvis;
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, FLOOR] = [330, 150, 52, 318, 10, 124];

  /** @param {RunCurve} curve @param {number[]} batches */
  function chart({ label, values }, batches) {
    const marks = tfvis.ticks(format.largest(values));
    const top = marks[marks.length - 1];
    const last = batches.length - 1;
    const span = Math.max(1, batches[last] - batches[0]);
    /** @param {number} i */
    const x = (i) => LEFT + ((batches[i] - batches[0]) / span) * (RIGHT - LEFT);
    /** @param {number} v */
    const y = (v) => FLOOR - (v / top) * (FLOOR - TOP);
    /** @type {number[]} */
    const measured = values.flatMap((v) => v ?? []);
    return svg(
      "svg",
      {
        class: "chart run-chart",
        width: WIDTH,
        height: HEIGHT,
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `${label} by batch: ${format.number(measured[0])} at first, ${format.number(measured[measured.length - 1])} at last`,
      },
      marks.map((v) => [
        svg("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y(v), y2: y(v) }),
        svg(
          "text",
          { x: LEFT - 8, y: y(v) + 4, "text-anchor": "end" },
          format.number(Number(v.toPrecision(6))),
        ),
      ]),
      [0, last].map((i) =>
        svg(
          "text",
          { x: x(i), y: HEIGHT - 6, "text-anchor": i ? "end" : "start" },
          i ? `batch ${format.count(batches[i])}` : format.count(batches[i]),
        ),
      ),
      svg("polyline", {
        class: "line",
        points: values
          .flatMap((v, i) =>
            v === null ? [] : `${x(i).toFixed(1)},${y(v).toFixed(1)}`,
          )
          .join(" "),
      }),
    );
  }

  /** @param {RunRecord} record */
  function training({ batches, curves, stride }) {
    const take = tfvis.take({
      title: "the curves of the training",
      name: () => ["training"],
      parts: [
        {
          label: "All curves",
          table: () => ({
            columns: ["batch", ...curves.map(({ label }) => label)],
            rows: batches.map((batch, i) => [
              batch,
              ...curves.map(({ values }) => values[i]),
            ]),
          }),
        },
        ...curves.map((curve) => ({
          label: curve.label,
          key: curve.label,
          svg: () => chart(curve, batches),
        })),
      ],
    });
    return parts.panel(
      "The training, batch by batch",
      take,
      stride > 1 &&
        el("p", { class: "muted" }, `Each point is the mean of ${stride} batches.`),
      el(
        "div",
        { class: "run-charts" },
        curves.map((curve) =>
          el(
            "figure",
            null,
            el(
              "figcaption",
              null,
              el("b", null, curve.label),
              " ",
              el("span", { class: "muted" }, curve.about),
            ),
            chart(curve, batches),
          ),
        ),
      ),
    );
  }

  /** Results as they are called elsewhere. */
  const NAMES = new Map([
    ["fvu", "FVU"],
    ["l0", "L0"],
  ]);
  const SETTINGS = "Settings";
  /** Results that are fractions. */
  const FRACTIONS = ["factors alive on held-out text", "share of unknown tokens"];

  /** @param {[string, [string, Value|string][]]} group */
  const facts = ([title, pairs]) =>
    parts.panel(
      title === SETTINGS ? "Settings (names of config.json)" : title,
      null,
      el(
        "dl",
        { class: "pairs" },
        pairs.map(([name, value]) => [
          el(
            "dt",
            null,
            title.startsWith(SETTINGS)
              ? el("code", null, name)
              : (NAMES.get(name) ?? name),
          ),
          el(
            "dd",
            null,
            typeof value === "string"
              ? value
              : FRACTIONS.includes(name)
                ? format.percent(value)
                : format.number(value),
          ),
        ]),
      ),
    );

  tfvis.pages.run = async (_, list) => {
    const { manifest } = data;
    const record = manifest.run
      ? /** @type {RunRecord} */ (await tfvis.load("data/run"))
      : null;
    /** @type {[string, Value|string][]} */
    const scalars = [];
    /** @type {string[][]} */
    const rows = [];
    for (const [name, value] of manifest.report) {
      if (Array.isArray(value)) rows.push([name, ...value.map(format.even)]);
      else scalars.push([name, value]);
    }
    return {
      element: el(
        "article",
        { class: "run-page page" },
        parts.trail(
          list,
          manifest.beside && el("a", { href: route.runs() }, "The other run beside it"),
        ),
        el("h1", null, "How this run was made"),
        record?.notes.map((note) => el("p", { class: "notice" }, note)),
        tfvis.quality(manifest, data.index, "run-quality"),
        rows.length > 0 &&
          parts.panel(
            "On held-out text, layer by layer",
            null,
            el(
              "div",
              { class: "wide", tabindex: 0, role: "group", "aria-label": "Table" },
              parts.table(["layer", ...manifest.layers.map(String)], rows),
            ),
          ),
        record && record.curves.length > 0 && training(record),
        el(
          "div",
          { class: "run-facts" },
          facts(["Results", scalars]),
          record?.facts.map(facts),
        ),
        !record &&
          el(
            "p",
            { class: "notice" },
            "These files do not tell how the run was trained. Export the site again with tfvis export.",
          ),
      ),
      title: `How this run was made · ${manifest.title}`,
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
