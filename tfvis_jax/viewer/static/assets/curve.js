/* The importance of one factor over the layers, and its density below, as SVG.
   It stands above a table whose columns are the layers: each point sits over its own. */
"use strict";
{
  const { svg } = tfvis.dom;
  const { format } = tfvis;
  const TOP = 34;
  const CURVE = 170;
  const BETWEEN = 38;
  const BARS = 46;
  const BOTTOM = 8;
  /** Room for the numbers of the layers, where no table below says them. */
  const NUMBERS = 22;

  /** Round steps from 0 to at least `largest`. @param {number} largest */
  function ticks(largest) {
    if (!(largest > 0)) return [0, 1];
    const rough = largest / 3;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 2.5, 5].find((m) => m * power >= rough) ?? 10);
    const count = Math.ceil(largest / step - 1e-9);
    return Array.from({ length: count + 1 }, (_, i) => i * step);
  }

  /**
   * A path through the points, broken where a value is missing.
   * @param {({x: number, y: number}|null)[]} points
   */
  function path(points) {
    let pen = "M";
    return points
      .map((point) => {
        if (!point) {
          pen = "M";
          return "";
        }
        const piece = `${pen}${point.x.toFixed(1)} ${point.y.toFixed(1)}`;
        pen = "L";
        return piece;
      })
      .join("");
  }

  tfvis.ticks = ticks;

  tfvis.curve = (at) => {
    const { importance, density, layers, chosen, width, gutter, numbered } = at;
    const column = (width - gutter) / layers.length;
    /** @param {number} i position in layers */
    const x = (i) => gutter + (i + 0.5) * column;
    const marks = ticks(format.largest(importance));
    const top = marks[marks.length - 1];
    const floor = TOP + CURVE;
    /** @param {number} v */
    const y = (v) => floor - (v / top) * CURVE;
    const densest = format.largest(density);
    const ground = floor + BETWEEN + BARS;
    const height = ground + BOTTOM + (numbered ? NUMBERS : 0);
    const points = importance.map((v, i) => (v === null ? null : { x: x(i), y: y(v) }));
    const drawn = points.filter((point) => point !== null);
    const area = drawn.length
      ? `${path(drawn)}L${drawn[drawn.length - 1].x} ${floor}L${drawn[0].x} ${floor}Z`
      : "";

    /** @param {number} i position in layers @returns {Listeners} */
    const choosePoint = (i) => ({
      click: () => at.choose(i),
      keydown(event) {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        at.choose(i);
      },
    });

    /** @param {number} at @param {string} label */
    const tick = (at, label) =>
      svg(
        "text",
        { class: "tick", x: gutter - 10, y: at, "text-anchor": "end" },
        label,
      );

    return svg(
      "svg",
      {
        class: "chart",
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "group",
        "aria-label":
          "Importance and density by layer; the table below lists the values",
      },
      svg("rect", {
        class: "chosen-band",
        x: gutter + chosen * column,
        y: 0,
        width: column,
        height,
      }),
      numbered && [
        svg("text", { class: "axis-title", x: 0, y: height - 8 }, "Layer"),
        layers.map((layer, i) =>
          svg(
            "text",
            { class: "tick", x: x(i), y: height - 8, "text-anchor": "middle" },
            layer,
          ),
        ),
      ],
      marks.map((v) =>
        svg("line", { class: "grid", x1: gutter, x2: width, y1: y(v), y2: y(v) }),
      ),
      svg("path", { class: "area", d: area }),
      svg("path", { class: "line", d: path(points) }),
      svg(
        "g",
        { class: "axis" },
        svg("text", { class: "axis-title", x: 0, y: 14 }, "Importance score"),
        marks.map((v) => tick(y(v) + 4, format.number(Number(v.toPrecision(6))))),
        svg("text", { class: "axis-title", x: 0, y: floor + BETWEEN - 10 }, "Density"),
        tick(ground - BARS + 8, format.percent(densest)),
        tick(ground, "0"),
      ),
      svg("line", { class: "grid", x1: gutter, x2: width, y1: ground, y2: ground }),
      density.map((v, i) => {
        const size = v && densest > 0 ? Math.max(1.5, (v / densest) * BARS) : 0;
        const wide = Math.min(28, column * 0.5);
        return svg("rect", {
          class: i === chosen ? "bar peak" : "bar",
          x: x(i) - wide / 2,
          y: ground - size,
          width: wide,
          height: size,
          rx: 1.5,
        });
      }),
      layers.map((layer, i) => [
        svg(
          "g",
          {
            class: i === chosen ? "point chosen" : "point",
            role: "button",
            tabindex: i === chosen ? 0 : -1,
            "data-layer": layer,
            "data-value": importance[i],
            "aria-pressed": String(i === chosen),
            "aria-label": `Layer ${layer}: importance ${format.even(importance[i])}, density ${format.percent(density[i])}`,
            on: choosePoint(i),
          },
          svg("rect", {
            class: "target",
            x: gutter + i * column,
            y: 0,
            width: column,
            height,
          }),
          points[i] &&
            svg("circle", {
              cx: points[i].x,
              cy: points[i].y,
              r: i === chosen ? 6.5 : 4.5,
            }),
          points[i] &&
            i === chosen &&
            svg(
              "text",
              {
                class: "value",
                x: points[i].x,
                y: points[i].y - 13,
                "text-anchor": "middle",
              },
              format.even(importance[i]),
            ),
        ),
      ]),
    );
  };
}
