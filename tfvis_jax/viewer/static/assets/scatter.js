/* Factors as points: two shares in 0 … 1, the level by shape and colour. */
"use strict";
{
  const { svg } = tfvis.dom;
  const { format } = tfvis;
  const [LEFT, RIGHT, TOP, BOTTOM] = [50, 22, 34, 46];
  /** Pixels of a point; smaller where there are many, or little room. */
  const [LARGE, SMALL, MANY, NARROW] = [4.2, 2.6, 3000, 480];
  const TICKS = [0, 0.25, 0.5, 0.75, 1];

  /** The outline of a shape around a point. @type {{[level: string]: (x: number, y: number, r: number) => string}} */
  const OUTLINES = {
    low: (x, y, r) =>
      `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
    mid: (x, y, r) => `M${x} ${y - 1.2 * r}l${1.15 * r} ${2 * r}h${-2.3 * r}z`,
    high: (x, y, r) =>
      `M${x - 0.9 * r} ${y - 0.9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
    topic: (x, y, r) =>
      `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
    unreadable: (x, y, r) =>
      `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  };

  /** @param {number} value */
  const round = (value) => Math.round(value * 10) / 10;

  tfvis.scatter = ({ points, names, labels, region, width }) => {
    const height = Math.round(Math.min(Math.max(width * 0.72, 280), 540));
    /** @param {number} share */
    const across = (share) => LEFT + share * (width - LEFT - RIGHT);
    /** @param {number} share */
    const down = (share) => height - BOTTOM - share * (height - TOP - BOTTOM);
    const size = points.length > MANY || width < NARROW ? SMALL : LARGE;
    const of = names.map((name) => {
      const outline = OUTLINES[name] ?? OUTLINES.low;
      return points
        .filter((point) => point.level === name)
        .map(({ x, y }) => outline(round(across(x)), round(down(y)), size))
        .join("");
    });
    const counts = names.map(
      (name) => `${points.filter(({ level }) => level === name).length} ${name}`,
    );
    const [x0, x1, y0, y1] = region;
    const drawing = svg(
      "svg",
      {
        class: "scatter",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `Factors by ${labels[0]} and ${labels[1]}: ${counts.join(", ")}. The table below lists them.`,
      },
      svg("rect", {
        class: x1 - x0 + y1 - y0 < 2 ? "region" : "region whole",
        x: across(x0),
        y: down(y1),
        width: Math.max(1, across(x1) - across(x0)),
        height: Math.max(1, down(y0) - down(y1)),
      }),
      TICKS.map((share) => [
        svg("line", {
          ...{ class: "rule", x1: LEFT, x2: width - RIGHT },
          ...{ y1: down(share), y2: down(share) },
        }),
        svg("line", {
          ...{ class: "rule", x1: across(share), x2: across(share) },
          ...{ y1: TOP, y2: height - BOTTOM },
        }),
        svg(
          "text",
          { x: LEFT - 8, y: down(share) + 4, "text-anchor": "end" },
          format.percent(share),
        ),
        svg(
          "text",
          { x: across(share), y: height - BOTTOM + 18, "text-anchor": "middle" },
          format.percent(share),
        ),
      ]),
      svg(
        "text",
        { class: "axis-title", x: width - RIGHT, y: height - 8, "text-anchor": "end" },
        `${labels[0]} →`,
      ),
      svg("text", { class: "axis-title", x: 0, y: 14 }, `↑ ${labels[1]}`),
      names.map((name, i) =>
        svg("path", { class: `points level-${name}`, d: of[i], "data-level": name }),
      ),
      svg("circle", { class: "lit", r: 9, visibility: "hidden" }),
    );
    return {
      element: drawing,
      /** The shares under a pointer, within the axes. */
      shares(event) {
        const box = drawing.getBoundingClientRect();
        const scale = width / (box.width || width);
        const x = (event.clientX - box.left) * scale;
        const y = (event.clientY - box.top) * scale;
        const clip = (/** @type {number} */ share) => Math.min(Math.max(share, 0), 1);
        return [
          clip((x - LEFT) / (width - LEFT - RIGHT)),
          clip((height - BOTTOM - y) / (height - TOP - BOTTOM)),
        ];
      },
      /** Rings a point, or none. */
      light(point) {
        const ring = drawing.querySelector(".lit");
        ring?.setAttribute("visibility", point ? "visible" : "hidden");
        if (!point) return;
        ring?.setAttribute("cx", String(across(point.x)));
        ring?.setAttribute("cy", String(down(point.y)));
      },
    };
  };
}
