/* The page of one factor: #/factor/13?layer=4 */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route } = tfvis;

  /** A page with a message alone. @param {string} title @param {...Child} children */
  function message(title, ...children) {
    return el(
      "div",
      { class: "page" },
      el("h1", null, title),
      el("p", { class: "notice" }, children),
      el("p", null, el("a", { href: route.list() }, "All factors")),
    );
  }

  /** The factor that a text names. @param {string} text @returns {Value} */
  function parse(text) {
    if (!/^\d{1,9}$/.test(text)) return null;
    return Number(text) < data.manifest.counts.factors ? Number(text) : null;
  }

  /** A link to a factor. @param {Value} target @param {string} label @param {string} text */
  function step(target, label, text) {
    if (target === null) return el("span", { class: "step none" }, text);
    return el(
      "a",
      {
        class: "step",
        href: route.factor(target),
        "aria-label": `${label}: factor ${target}`,
      },
      text,
    );
  }

  tfvis.factorPage = async (at, list) => {
    const { manifest } = data;
    const named = parse(at.number);
    if (named === null) {
      const last = format.count(manifest.counts.factors - 1);
      return {
        element: message(
          "No such factor",
          `Expected a factor number from 0 to ${last}, got `,
          el("q", null, at.number),
          ".",
        ),
      };
    }
    const number = named;
    const factor = await data.factor(number);
    const dead = data.isDead(number);
    const label = data.label(number);
    const around = list.around(number);
    /** @param {string|null} wanted @returns {number} position in layers, or -1 */
    const position = (wanted) => manifest.layers.findIndex((l) => String(l) === wanted);
    const asked = at.params.get("layer");
    let chosen = position(asked);
    const unknown = asked !== null && chosen < 0;
    if (chosen < 0) chosen = data.index.peak[number] ?? 0;

    const warning = el(
      "p",
      { class: "notice", hidden: !unknown },
      unknown &&
        `Layer ${asked} is not part of this run, which has ${format.layers(manifest.layers)}.`,
    );
    const panel = tfvis.layersPanel(factor, manifest.layers, choose);
    const contexts = tfvis.contexts.panel(factor, manifest.layers);
    const overview =
      manifest.layers.length > 1
        ? tfvis.overview(factor, manifest.layers, choose)
        : null;

    /** @param {number} i position in layers */
    function show(i) {
      chosen = i;
      panel.show(i);
      contexts.show(i);
      overview?.show(i);
    }

    /** @param {number} i position in layers */
    function choose(i) {
      if (i < 0 || i >= manifest.layers.length || i === chosen) return;
      warning.hidden = true;
      route.go(route.factor(number, { layer: manifest.layers[i] }));
    }

    const element = el(
      "article",
      { class: "factor page" },
      el(
        "nav",
        { class: "trail", "aria-label": "Factors" },
        el("a", { href: list.address() }, "All factors"),
        el(
          "span",
          { class: "steps" },
          step(around.before, "Previous", "← previous"),
          around.place !== null &&
            el(
              "span",
              { class: "muted" },
              `${format.count(around.place + 1)} of ${format.count(around.total)}`,
            ),
          step(around.after, "Next", "next →"),
        ),
      ),
      el(
        "header",
        { class: "factor-head" },
        el(
          "h1",
          null,
          `Factor ${number}`,
          " ",
          dead ? null : glyphs.level(data.level(number)),
        ),
        label !== null &&
          el(
            "p",
            { class: "headlabel" },
            glyphs.label(label),
            factor.label_remarks !== "" && el("small", null, factor.label_remarks),
          ),
        el("p", { class: "headwords" }, glyphs.words(factor.words)),
        factor.reason !== "" && el("p", { class: "reason" }, factor.reason),
      ),
      dead &&
        el(
          "p",
          { class: "notice" },
          "This factor is dead: it never fires on this corpus, in any layer.",
        ),
      warning,
      !dead && [panel.element, contexts.element, overview?.element],
    );

    return {
      element,
      title: `Factor ${number} · ${manifest.title}`,
      mounted: () => !dead && show(chosen),
      close: panel.close,
      /** Another layer of the same factor. @param {Route} next */
      update(next) {
        if (next.page !== "factor" || next.number !== at.number) return false;
        const i = position(next.params.get("layer"));
        if (i < 0 && next.params.get("layer") !== null) return false;
        warning.hidden = true;
        if (!dead) show(i < 0 ? (data.index.peak[number] ?? 0) : i);
        return true;
      },
      keys: {
        ArrowLeft: () =>
          around.before !== null && route.go(route.factor(around.before)),
        ArrowRight: () => around.after !== null && route.go(route.factor(around.after)),
        "[": () => choose(chosen - 1),
        "]": () => choose(chosen + 1),
        ArrowUp: () =>
          panel.chart.contains(document.activeElement) && choose(chosen - 1),
        ArrowDown: () =>
          panel.chart.contains(document.activeElement) && choose(chosen + 1),
        a: contexts.toggle,
        Escape: () => route.go(list.address()),
      },
    };
  };
}
