/* How the activations of a factor are distributed at a layer; both axes logarithmic. */
"use strict";
{
  const { svg } = tfvis.dom;
  const { format, parts } = tfvis;
  const BAR = 9;
  const HEIGHT = 64;
  const BELOW = 18;
  const LEFT = 2;
  const BETWEEN_TICKS = 54;

  /** The activations of a band. */
  tfvis.bandRange = (firings, band, top) => {
    const [half, tenth, hundredth] = firings.quantiles.map((q) => q ?? 0);
    if (band === "upper") return { low: tenth, high: hundredth };
    if (band === "middle") return { low: half, high: tenth };
    if (band === "random") return { low: 0, high: Infinity };
    return { low: top[top.length - 1]?.[1] ?? 0, high: Infinity };
  };

  /** The same numbers as a table. */
  tfvis.histogramAsTable = (firings, edges) => {
    const [first, ...counts] = firings.histogram;
    /** @param {Value} edge */
    const text = (edge) => (edge === null ? "∞" : format.number(edge));
    return parts.folded(
      "Tokens by activation",
      "As table",
      parts.table(
        ["α from", "to", "tokens"],
        counts.map((n, i) => [
          format.number(edges[first + i]),
          text(edges[first + i + 1]),
          format.count(n),
        ]),
      ),
    );
  };

  tfvis.histogram = (firings, edges, { low, high }) => {
    const [first, ...counts] = firings.histogram;
    const most = Math.log1p(Math.max(...counts));
    const width = counts.length * BAR + 2 * LEFT + BETWEEN_TICKS / 2;
    let tick = -Infinity;
    const text = counts
      .map((n, i) => `${format.number(edges[first + i])}: ${format.count(n)}`)
      .join(", ");
    return svg(
      "svg",
      {
        class: "histogram",
        viewBox: `0 0 ${width} ${HEIGHT + BELOW}`,
        width,
        height: HEIGHT + BELOW,
        role: "img",
        "aria-label": `Number of tokens by activation, from: ${text}`,
      },
      counts.map((n, i) => {
        const from = edges[first + i] ?? 0;
        const to = edges[first + i + 1] ?? Infinity;
        const height = n > 0 ? Math.max(2, (Math.log1p(n) / most) * HEIGHT) : 0;
        return svg(
          "rect",
          {
            class: to > low && from < high ? "bar peak" : "bar",
            x: LEFT + i * BAR,
            y: HEIGHT - height,
            width: BAR - 1.5,
            height,
          },
          svg(
            "title",
            null,
            `${format.count(n)} tokens with α from ${format.number(from)} to ${format.number(to)}`,
          ),
        );
      }),
      counts.map((_, i) => {
        const x = LEFT + i * BAR;
        if (x - tick < BETWEEN_TICKS) return null;
        tick = x;
        return svg(
          "text",
          { class: "tick", x, y: HEIGHT + BELOW - 4 },
          format.number(Number((edges[first + i] ?? 0).toPrecision(1))),
        );
      }),
    );
  };

  /** The histogram with its axes named, for a file. */
  tfvis.histogramSheet = (firings, edges, range) => {
    const drawing = tfvis.histogram(firings, edges, range);
    const width = Math.max(440, Number(drawing.getAttribute("width")));
    const most = Math.max(...firings.histogram.slice(1));
    const note = `tokens by activation, both on logarithmic scales; highest bar ${format.count(most)}`;
    return svg(
      "svg",
      {
        class: "histogram",
        viewBox: `0 0 ${width} ${HEIGHT + BELOW + 18}`,
        width,
        height: HEIGHT + BELOW + 18,
      },
      [...drawing.childNodes],
      svg("text", { x: LEFT, y: HEIGHT + BELOW + 13 }, note),
    );
  };

  tfvis.histogramTable = (firings, edges) => {
    const [first, ...counts] = firings.histogram;
    return {
      columns: ["activation from", "activation below", "tokens"],
      rows: counts.map((n, i) => [edges[first + i], edges[first + i + 1] ?? "inf", n]),
    };
  };
}
