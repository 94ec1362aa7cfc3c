/* The curve and, under it, the table of its values: one column per layer. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { format, glyphs } = tfvis;
  const GUTTER = 92;
  /** What fits beside the columns of a phone. */
  const NARROW = 82;
  const PHONE = 480;
  const COLUMN = 55;
  const PAPER = 700;

  tfvis.layersPanel = (factor, layers, choose) => {
    let chosen = 0;
    const chart = el("div", { class: "chart-box" });
    const buttons = layers.map((layer, i) =>
      el(
        "button",
        {
          type: "button",
          class: "layer",
          "aria-label": `Layer ${layer}`,
          on: { click: () => choose(i) },
        },
        layer,
      ),
    );
    const heads = buttons.map((button) => el("th", { scope: "col" }, button));
    /** @param {string} label @param {string} title @param {Child} cells */
    const line = (label, title, cells) =>
      el("tr", null, el("th", { scope: "row", title }, label), cells);
    const table = el(
      "table",
      { class: "values" },
      el("caption", { class: "unseen" }, `Factor ${factor.factor} by layer`),
      el("thead", null, el("tr", null, el("th", { scope: "row" }, "Layer"), heads)),
      el(
        "tbody",
        null,
        line(
          "Importance",
          "Mean of the top-n activations in the layer",
          factor.importance.map((v) => el("td", null, format.even(v))),
        ),
        line(
          "Maximum",
          "Largest activation in the layer",
          factor.activation.map((v) => el("td", null, format.even(v))),
        ),
        line(
          "Density",
          "Fraction of tokens on which it fires in the layer",
          factor.density.map((v) => el("td", null, format.percent(v))),
        ),
        line(
          "Words",
          "Words that fire it most in the layer",
          factor.layer_words.map((words) =>
            el(
              "td",
              { class: "said", title: words.map(([w, n]) => `${w} ${n}`).join(", ") },
              words.length
                ? words.slice(0, 3).map(([word]) => el("bdi", null, word))
                : el("span", { class: "muted" }, "–"),
            ),
          ),
        ),
      ),
    );
    const take = tfvis.take({
      title: "importance across layers",
      name: () => [`factor-${factor.factor}`, "layers"],
      parts: [
        {
          label: "Curve",
          head: () => `${glyphs.phi(factor.factor)}: importance across layers`,
          svg: () =>
            tfvis.curve({
              importance: factor.importance,
              density: factor.density,
              layers,
              chosen,
              width: GUTTER + Math.max(360, layers.length * 62),
              gutter: GUTTER,
              numbered: true,
              choose,
            }),
          table: () => ({
            columns: [
              ...["factor", "layer", "importance score (mean of top activations)"],
              ...["maximum activation", "density (fraction of tokens)", "words"],
            ],
            rows: layers.map((layer, i) => [
              ...[factor.factor, layer, factor.importance[i], factor.activation[i]],
              factor.density[i],
              factor.layer_words[i].map(([word]) => word).join(" "),
            ]),
          }),
        },
      ],
      json: () => ({
        factor: factor.factor,
        label: tfvis.data.label(factor.factor),
        level: tfvis.data.level(factor.factor),
        reason: factor.reason,
        words: factor.words,
        layers,
        importance: factor.importance,
        maximum: factor.activation,
        density: factor.density,
        layer_words: factor.layer_words,
      }),
      link: () => tfvis.route.factor(factor.factor, { layer: layers[chosen] }),
    });
    const inner = el("div", { class: "layers-inner" }, chart, table);
    const scroller = el("div", { class: "wide snapping" }, inner);

    /** @param {number} [width] */
    function draw(width) {
      const room = scroller.clientWidth;
      if (!width && room === 0) return;
      const gutter = room > PHONE ? GUTTER : NARROW;
      // As many whole columns as there is room for: none is cut where it comes to rest.
      const fit = Math.max(1, Math.floor((room - gutter) / COLUMN));
      const column = (room - gutter) / Math.min(fit, layers.length);
      inner.style.setProperty("--least", `${gutter + layers.length * column}px`);
      inner.style.setProperty("--gutter", `${gutter}px`);
      scroller.style.setProperty("--gutter", `${gutter}px`);
      const wide = width ?? inner.clientWidth;
      // On paper the drawing shrinks; the table below shrinks with it.
      inner.style.setProperty("--gutter-share", `${(100 * gutter) / wide}%`);
      const focused = chart.contains(document.activeElement);
      const drawing = tfvis.curve({
        importance: factor.importance,
        density: factor.density,
        layers,
        chosen,
        width: wide,
        gutter,
        choose,
      });
      const height = Number(drawing.getAttribute("height"));
      const axis = /** @type {Node} */ (drawing.querySelector(".axis"));
      chart.replaceChildren(
        drawing,
        // The same above it, which stays where the columns are scrolled.
        svg(
          "svg",
          { class: "axis-box", width: gutter, height, "aria-hidden": "true" },
          axis.cloneNode(true),
        ),
      );
      if (focused) {
        const point = /** @type {SVGElement|null} */ (
          chart.querySelector(".point.chosen")
        );
        point?.focus({ preventScroll: true });
      }
    }

    const watch = new ResizeObserver(() => draw());
    const unprint = tfvis.paper(PAPER, draw);
    watch.observe(scroller);
    return {
      element: el(
        "section",
        { class: "panel layers", "aria-labelledby": "layers-title" },
        el(
          "div",
          { class: "panel-head" },
          el("h2", { id: "layers-title" }, "Importance across layers"),
          take,
        ),
        scroller,
      ),
      chart,
      close() {
        watch.disconnect();
        unprint();
      },
      show(i) {
        chosen = i;
        draw();
        for (const line of table.querySelectorAll("tr")) {
          for (const [column, cell] of [...line.cells].entries()) {
            cell.classList.toggle("chosen", column === i + 1);
          }
        }
        for (const [place, button] of buttons.entries()) {
          button.setAttribute("aria-pressed", String(place === i));
        }
        // Whole columns: the chosen one in the middle of those in view.
        const column = heads[i].offsetWidth;
        const gutter = heads[0].offsetLeft;
        const fit = Math.round((scroller.clientWidth - gutter) / column);
        scroller.scrollLeft = column * (i - Math.floor((fit - 1) / 2));
      },
    };
  };
}
