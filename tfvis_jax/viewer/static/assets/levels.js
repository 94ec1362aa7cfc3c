/* Where in the network the factors of each level are active: median and quartiles of
   their importance, each relative to its factor's largest. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { data, format, parts } = tfvis;
  const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [220, 128, 30, 22, 22];
  /** Factors of a level that are looked at, evenly spaced. */
  const MOST = 4000;

  /** A quantile of ascending values, between two by their distance. @param {number[]} sorted @param {number} q */
  function quantile(sorted, q) {
    const place = (sorted.length - 1) * q;
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
  }

  /** The quartiles by layer of each level that has live factors. @returns {LevelCurve[]} */
  function curves() {
    const { index, manifest } = data;
    return manifest.level_names.flatMap((name, level) => {
      const all = index.levels.flatMap((each, factor) =>
        each === level && index.peak[factor] !== null ? factor : [],
      );
      if (all.length === 0) return [];
      const stride = Math.ceil(all.length / MOST);
      const members = all.filter((_, i) => i % stride === 0);
      const peaks = members.map((factor) => format.largest(data.importance(factor)));
      const quartiles = index.importance.map((layer) => {
        const shares = members
          .map((factor, i) => (layer[factor] ?? 0) / (peaks[i] || 1))
          .sort((a, b) => a - b);
        return [0.25, 0.5, 0.75].map((q) => quantile(shares, q));
      });
      return { name, count: all.length, quartiles };
    });
  }

  /** @param {LevelCurve} curve @param {LevelCurve[]} all @param {number} x @param {number} y */
  function chart({ name, count, quartiles }, all, x, y) {
    const { layers } = data.manifest;
    const step = (WIDTH - LEFT - 12) / Math.max(1, layers.length - 1);
    /** @param {number} i */
    const across = (i) => (layers.length === 1 ? WIDTH / 2 : LEFT + i * step);
    /** @param {number} share */
    const down = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
    /** @param {number[]} values */
    const points = (values) =>
      values.map((v, i) => `${across(i).toFixed(1)},${down(v).toFixed(1)}`);
    /** @param {LevelCurve} of @param {number} q */
    const along = (of, q) => of.quartiles.map((three) => three[q]);
    const band = [
      ...points(along({ name, count, quartiles }, 0)),
      ...points(along({ name, count, quartiles }, 2)).reverse(),
    ];
    return svg(
      "g",
      { class: `level-curve level-${name}`, transform: `translate(${x} ${y})` },
      svg(
        "text",
        { class: "axis-title", x: LEFT, y: 14 },
        `${name} (${format.count(count)})`,
      ),
      [0, 0.5, 1].map((share) => [
        svg("line", {
          class: "rule",
          x1: LEFT,
          x2: WIDTH - 12,
          y1: down(share),
          y2: down(share),
        }),
        svg(
          "text",
          { class: "tick", x: LEFT - 6, y: down(share) + 4, "text-anchor": "end" },
          share,
        ),
      ]),
      all.map((other) =>
        svg("polyline", { class: "other", points: points(along(other, 1)).join(" ") }),
      ),
      svg("polygon", { class: "band", points: band.join(" ") }),
      svg("polyline", {
        class: "median",
        points: points(along({ name, count, quartiles }, 1)).join(" "),
      }),
      layers.map(
        (layer, i) =>
          (layers.length < 9 || i % 2 === 0) &&
          svg(
            "text",
            { class: "tick", x: across(i), y: HEIGHT - 6, "text-anchor": "middle" },
            layer,
          ),
      ),
    );
  }

  /** @param {LevelCurve[]} found @param {number} columns */
  function drawing(found, columns) {
    const rows = Math.ceil(found.length / columns);
    const [width, height] = [columns * WIDTH, rows * HEIGHT];
    const text = found
      .map(({ name, quartiles }) => {
        const medians = quartiles.map((three) => format.number(three[1])).join(", ");
        return `${name}: ${medians}`;
      })
      .join("; ");
    return svg(
      "svg",
      {
        class: "level-curves",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `Median importance by layer, relative to each factor’s largest. ${text}`,
      },
      found.map((curve, i) =>
        chart(curve, found, (i % columns) * WIDTH, Math.floor(i / columns) * HEIGHT),
      ),
    );
  }

  tfvis.levelCurves = (columns = 2) => {
    const { layers } = data.manifest;
    const found = curves();
    /** @param {LevelCurve} curve */
    const rows = ({ name, count, quartiles }) =>
      layers.map((layer, i) => [name, count, layer, ...quartiles[i]]);
    const take = tfvis.take({
      title: "importance by level",
      name: () => ["importance-by-level"],
      parts: [
        {
          label: "Curves",
          svg: () => drawing(found, 2),
          table: () => ({
            columns: [
              ...["level", "factors", "layer", "quartile 1", "median", "quartile 3"],
            ],
            rows: found.flatMap(rows),
          }),
        },
      ],
      json: () => ({ layers, levels: found }),
      link: () => tfvis.route.list(),
    });
    return parts.panel(
      "Importance by layer, of each level",
      take,
      el(
        "p",
        { class: "muted note" },
        "Line: the median factor of a level; band: half of its factors. Importance is relative to each factor’s largest.",
      ),
      drawing(found, columns),
      parts.folded(
        "Medians",
        "Table of the medians",
        parts.table(
          ["median at layer", ...layers],
          found.map(({ name, quartiles }) => [
            name,
            ...quartiles.map((three) => format.even(three[1])),
          ]),
        ),
      ),
    );
  };
}
