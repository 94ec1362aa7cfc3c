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

  tfvis.pages.factor = async (at, list) => {
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
    const contexts = tfvis.contexts.panel(factor, manifest.layers, (band) =>
      route.go(address(chosen, band)),
    );
    const overview =
      manifest.layers.length > 1
        ? tfvis.overview(factor, manifest.layers, choose)
        : null;

    const relatives = tfvis.relatives(factor, manifest.layers);

    /** @param {URLSearchParams} params @returns {Band} */
    function bandOf(params) {
      const asked = params.get("band");
      const known = asked === "upper" || asked === "middle" || asked === "random";
      return known && factor.firings.length ? asked : "top";
    }
    let shownBand = bandOf(at.params);

    /** @param {number} i position in layers @param {Band} band */
    function address(i, band) {
      return route.factor(number, {
        layer: manifest.layers[i],
        band: band === "top" ? "" : band,
      });
    }

    /** @param {number} i position in layers */
    function show(i) {
      chosen = i;
      panel.show(i);
      contexts.show(i, shownBand);
      overview?.show(i);
      relatives?.show(i);
    }

    /** @param {number} i position in layers */
    function choose(i) {
      if (i < 0 || i >= manifest.layers.length || i === chosen) return;
      warning.hidden = true;
      route.go(address(i, shownBand));
    }

    const head = el("header", { class: "factor-head" });
    const said = el("div");

    /** Level, label, words and notes; again after a person has changed them. */
    function describe() {
      const label = data.label(number);
      const byHand = data.notes.get(number)?.label;
      head.replaceChildren(
        el(
          "h1",
          null,
          `Factor ${number}`,
          " ",
          dead ? null : glyphs.level(data.level(number), data.levelNote(number)),
        ),
      );
      if (label !== null) {
        const remarks = byHand ? "set by hand" : factor.label_remarks;
        head.append(
          el(
            "p",
            { class: "headlabel" },
            glyphs.label(label),
            remarks !== "" && el("small", null, remarks),
          ),
        );
      }
      head.append(
        el("p", { class: "headwords" }, glyphs.words(factor.words, { links: true })),
      );
      const scored = factor.label_scores;
      if (scored && !byHand)
        head.append(
          el(
            "p",
            { class: "reason" },
            `${label === null ? "Its words say" : "The label says"} when it fires: `,
            scored.shares
              .map(([name, at]) => {
                const [share, low, high, chance] = at.map((x) => Math.round(100 * x));
                return `${name} ${share} % (${low}–${high}; chance ${chance})`;
              })
              .join(", "),
            scored.judge === "words" ? "" : `, judged by ${scored.judge}`,
            ".",
          ),
        );
      const source = tfvis.levelSource(number);
      if (source) head.append(source);
      if (factor.reason !== "")
        head.append(el("p", { class: "reason" }, factor.reason));
    }
    describe();
    said.append(tfvis.notePanel(number, describe));

    const element = el(
      "article",
      { class: "factor page" },
      tfvis.parts.trail(
        list,
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
          el(
            "a",
            { href: route.compare({ f: number }), title: "Beside other factors" },
            "compare",
          ),
          !dead &&
            el(
              "a",
              {
                href: route.rate(number),
                title: "Do its contexts fit what it stands for?",
              },
              "rate",
            ),
        ),
      ),
      head,
      dead &&
        el(
          "p",
          { class: "notice" },
          "This factor is dead: it never fires on this corpus, in any layer.",
        ),
      warning,
      !dead && [
        panel.element,
        contexts.element,
        overview?.element,
        relatives?.element,
        said,
      ],
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
        shownBand = bandOf(next.params);
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
        t: () =>
          !dead && route.go(route.rate(number, { layer: manifest.layers[chosen] })),
        Escape: () => route.go(list.address()),
      },
    };
  };
}
