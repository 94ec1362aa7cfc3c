/* What levels follow from: #/levels?x=alone&y=near&cut=0.6&level=mid&region=0,0.5,0,1 */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, parts, route } = tfvis;
  const UNCLEAR = "unclear";
  const STEP = 30;
  /** Pixels within which a point is pointed at. */
  const NEAR = 0.02;
  const PAPER = 640;
  const HINT =
    "Point at a factor to name it, click to open it; drag to choose a region.";
  const WHOLE = [0, 1, 0, 1];
  const PHONE = 560;
  const MEANINGS = new Map([
    ["low", "The word decides whether it fires."],
    ["mid", "The few words around it decide."],
    ["high", "Words further away decide, in many documents."],
    ["topic", "As high, but a few documents have most of its strongest firings."],
    ["unreadable", "Its firings have nothing in common that was found."],
    ["unclear", "It rarely fires, or no level is likely enough."],
  ]);
  const STRIPES =
    "A share of α is the mean over a few firings, two where these settle the level, each between 0 and 1. Hence the stripes: many shares are exactly 0, 50 or 100 %.";

  /** @param {string|null} text @returns {number[]} */
  function readRegion(text) {
    const found = (text ?? "").split(",").map(Number);
    const right =
      found.length === 4 && found.every((share) => share >= 0 && share <= 1);
    return right ? found : WHOLE;
  }

  /** @param {URLSearchParams} params @param {LevelEvidence} evidence */
  function read(params, { measures, least }) {
    /** @param {string} name @param {number} other */
    const measure = (name, other) => {
      const place = measures.findIndex((each) => each.name === params.get(name));
      return place >= 0 ? place : other;
    };
    const cut = Number(params.get("cut") ?? Number.NaN);
    return {
      x: measure("x", 0),
      y: measure("y", 1),
      cut: cut >= 0 && cut <= 1 ? cut : (least ?? 0),
      level: params.get("level") ?? "",
      region: readRegion(params.get("region")),
    };
  }

  /** The level of a factor at a cut: the likeliest, unless it is unlikely. @param {LevelEvidence} evidence @param {number} factor @param {number} cut */
  function judge({ names, probabilities }, factor, cut) {
    const p = probabilities[factor];
    if (!p) return { level: UNCLEAR, p: null };
    const best = Math.max(...p);
    return { level: best >= cut ? names[p.indexOf(best)] : UNCLEAR, p: best };
  }

  /** What to do where context has not been measured. @param {number} guessed @param {number} all */
  const notice = (guessed, all) =>
    el(
      "div",
      { class: "notice" },
      el(
        "p",
        null,
        guessed < all
          ? `${format.count(all - guessed)} of these levels are measured. The other ${format.count(guessed)} are guesses: how much context these factors need has not been measured. For the rest, type `
          : "These levels are guesses: how much context each factor needs has not been measured. Type ",
        el("code", null, "tfvis levels RUN"),
        " and then ",
        el("code", null, "tfvis export RUN"),
        ", with the folder of the run in place of RUN.",
      ),
    );

  /** A slider with its value. @param {string} label @param {number[]} range least, most, step @param {(value: number, done: boolean) => void} change */
  function slider(label, [min, max, step], change) {
    const output = el("output");
    /** @type {HTMLInputElement} */
    const input = el("input", {
      ...{ type: "range", min, max, step },
      on: {
        input: () => change(Number(input.value), false),
        change: () => change(Number(input.value), true),
      },
    });
    return {
      element: el("label", { class: "cut" }, el("span", null, label), input, output),
      /** @param {number} value @param {string} text */
      show(value, text) {
        if (Number(input.value) !== value) input.value = String(value);
        input.setAttribute("aria-valuetext", text);
        output.textContent = text;
      },
    };
  }

  /** How far the rule agrees with people. @param {(factor: number) => string} at */
  function people(at) {
    const set = [...data.notes].filter(([, note]) => note.level);
    if (set.length === 0) return null;
    const same = set.filter(([factor, note]) => at(factor) === note.level).length;
    return `People set the level of ${set.length} ${set.length === 1 ? "factor" : "factors"}; at this cut the rule says the same of ${same}.`;
  }

  tfvis.pages.levels = async (at, list) => {
    const evidence = /** @type {LevelEvidence} */ (await tfvis.load("data/levels"));
    const { measures } = evidence;
    const known = measures.length > 1;
    let state = read(at.params, evidence);
    let shown = STEP;
    const live = data.index.peak.flatMap((peak, factor) =>
      peak === null ? [] : factor,
    );

    const guessed = data.guesses(data.index);

    function address() {
      const { x, y, cut, level, region } = state;
      return route.levels({
        x: x === 0 ? "" : measures[x].name,
        y: y === 1 ? "" : measures[y].name,
        cut: cut === evidence.least ? "" : cut,
        level,
        region: region.join() === WHOLE.join() ? "" : region.join(),
      });
    }

    /** @param {Partial<typeof state>} part @param {boolean} [done] */
    function change(part, done = true) {
      state = { ...state, ...part };
      shown = STEP;
      draw();
      // A slider that moves changes too often for the browser's history.
      if (done) route.note(address());
    }

    const box = el("div", { class: "scatter-box" });
    const readout = el("p", { class: "muted readout" }, HINT);
    const chips = el("div", { class: "chips", role: "group", "aria-label": "Level" });
    const summary = el("p", { class: "muted", role: "status" });
    const listed = el("div");
    const moved = el("p", { class: "muted note" });
    const cut = slider(
      "A level needs a probability of",
      [0.2, 0.95, 0.01],
      (value, done) => change({ cut: value }, done),
    );
    /** @param {number} place in the region */
    const bound =
      (place) => (/** @type {number} */ value, /** @type {boolean} */ done) => {
        const region = [...state.region];
        region[place] = value;
        const other = place ^ 1;
        // A bound takes the other one along.
        region[other] =
          place % 2 === 0
            ? Math.max(region[other], value)
            : Math.min(region[other], value);
        change({ region }, done);
      };
    const bounds = ["from", "to", "from", "to"].map((label, place) =>
      slider(label, [0, 1, 0.01], bound(place)),
    );
    /** @param {string} label @param {"x"|"y"} axis */
    function chooser(label, axis) {
      /** @type {HTMLSelectElement} */
      const select = el(
        "select",
        { on: { change: () => change({ [axis]: Number(select.value) }) } },
        measures.map((each, place) => el("option", { value: place }, each.label)),
      );
      return { select, element: el("label", { class: "field" }, `${label} `, select) };
    }
    const across = chooser("Across", "x");
    const up = chooser("Up", "y");

    /** @returns {LevelPoint[]} */
    const points = () =>
      live.flatMap((factor) => {
        const x = measures[state.x].values[factor];
        const y = measures[state.y].values[factor];
        if (x === null || y === null) return [];
        return { factor, x, y, ...judge(evidence, factor, state.cut) };
      });
    /** @param {LevelPoint} point */
    function inside({ x, y, level }) {
      const [x0, x1, y0, y1] = state.region;
      const right = x >= x0 && x <= x1 && y >= y0 && y <= y1;
      return right && (!state.level || level === state.level);
    }

    /** @param {number} [width] */
    const drawing = (width) =>
      tfvis.scatter({
        points: points().filter(({ level }) => !state.level || level === state.level),
        names: data.manifest.level_names,
        labels: [measures[state.x].label, measures[state.y].label],
        region: state.region,
        width: width ?? (box.clientWidth || PAPER),
      });

    /** The pointer: names the nearest point, opens it, or draws a region. @param {Scatter} plot @param {LevelPoint[]} all */
    function listen(plot, all) {
      /** @type {number[]|null} */
      let from = null;
      /** @param {MouseEvent} event */
      const nearest = (event) => {
        const [x, y] = plot.shares(event);
        let [best, least] = [/** @type {LevelPoint|null} */ (null), NEAR];
        for (const point of all) {
          const far = Math.hypot(point.x - x, point.y - y);
          if (far < least) [best, least] = [point, far];
        }
        return best;
      };
      plot.element.addEventListener("pointermove", (event) => {
        const point = nearest(event);
        plot.light(point);
        readout.textContent = point
          ? `Φ${point.factor} ${glyphs.name(point.factor)} · ${point.level} ${point.p === null ? "" : format.even(point.p)}`
          : HINT;
      });
      plot.element.addEventListener("pointerdown", (event) => {
        // A finger scrolls; it has the sliders.
        if (event.pointerType !== "touch") from = plot.shares(event);
      });
      plot.element.addEventListener("pointerup", (event) => {
        const to = plot.shares(event);
        const point = nearest(event);
        const far = from ? Math.hypot(from[0] - to[0], from[1] - to[1]) : 0;
        if (from && far > NEAR) {
          const [x, y] = [0, 1].map((axis) =>
            [from?.[axis] ?? 0, to[axis]]
              .sort((a, b) => a - b)
              .map((share) => Math.round(share * 100) / 100),
          );
          change({ region: [...x, ...y] });
        } else if (point) route.go(route.factor(point.factor));
        from = null;
      });
    }

    /** The factors of the region, likeliest first. @param {LevelPoint[]} found */
    function table(found) {
      const heads = ["Factor", "Words", "Level", "Probability"];
      return el(
        "div",
        { class: "wide", tabindex: 0, role: "region", "aria-label": "Factors" },
        parts.table(
          [...heads, measures[state.x].label, measures[state.y].label],
          found
            .slice(0, shown)
            .map(({ factor, level, p, x, y }) => [
              el("a", { href: route.factor(factor) }, `Φ${factor}`),
              el("span", { dir: "auto" }, glyphs.name(factor)),
              glyphs.level(level),
              format.even(p),
              format.percent(x),
              format.percent(y),
            ]),
        ),
      );
    }

    /** Levels with their numbers, at this cut and by the rule. @param {Map<string, number>} counts */
    function chipsOf(counts) {
      /** @param {string} value @param {Child} label @param {number} n */
      const chip = (value, label, n) =>
        parts.button(
          [label, el("small", null, format.count(n))],
          () => change({ level: value }),
          {
            class: "chip",
            "data-level": value,
            "aria-pressed": String(state.level === value),
          },
        );
      return [
        chip("", "all", live.length),
        ...data.manifest.level_names
          .filter((name) => counts.get(name) || name === state.level)
          .map((name) => chip(name, glyphs.level(name), counts.get(name) ?? 0)),
      ];
    }

    /** @param {number} [width] */
    function draw(width) {
      if (!known) return;
      const focused = document.activeElement?.getAttribute("data-level") ?? null;
      const all = points();
      /** @type {Map<string, number>} */
      const counts = new Map();
      let changed = 0;
      for (const factor of live) {
        const { level } = judge(evidence, factor, state.cut);
        counts.set(level, (counts.get(level) ?? 0) + 1);
        if (level !== judge(evidence, factor, evidence.least ?? 0).level) changed += 1;
      }
      chips.replaceChildren(...chipsOf(counts));
      if (focused !== null) {
        const chip = chips.querySelector(`[data-level="${CSS.escape(focused)}"]`);
        if (chip instanceof HTMLElement) chip.focus();
      }
      cut.show(
        state.cut,
        `${format.even(state.cut)}${state.cut === evidence.least ? " (the rule’s)" : ""}`,
      );
      moved.textContent = [
        changed > 0
          ? `${format.count(changed)} ${changed === 1 ? "factor has" : "factors have"} another level than by the rule, which needs ${format.even(evidence.least)}.`
          : "As the rule has it.",
        people((factor) => judge(evidence, factor, state.cut).level),
      ].join(" ");
      for (const [place, each] of bounds.entries()) {
        each.show(state.region[place], format.percent(state.region[place]));
      }
      across.select.value = String(state.x);
      up.select.value = String(state.y);
      const plot = drawing(width);
      box.replaceChildren(plot.element);
      listen(
        plot,
        all.filter(({ level }) => !state.level || level === state.level),
      );
      const found = all
        .filter(inside)
        .sort((a, b) => (b.p ?? 0) - (a.p ?? 0) || a.factor - b.factor);
      const placeless = live.length - all.length;
      summary.textContent = [
        `${format.count(found.length)} of ${format.count(live.length)} factors are in the region${state.level && " and "}${state.level}.`,
        placeless > 0
          ? `${format.count(placeless)} have no place in this plane: their shares have not been measured.`
          : "",
      ]
        .join(" ")
        .trim();
      listed.replaceChildren(
        found.length > 0 ? table(found) : "",
        found.length > shown
          ? parts.button(
              `Show ${Math.min(STEP, found.length - shown)} more`,
              () => {
                shown += STEP;
                draw();
              },
              { class: "button more" },
            )
          : "",
      );
    }

    const rows = () =>
      points()
        .filter(inside)
        .map(({ factor, level, p, x, y }) => [
          factor,
          glyphs.name(factor),
          level,
          p,
          x,
          y,
        ]);
    const take = known
      ? tfvis.take({
          title: "the factors of the region",
          name: () => ["levels", state.level],
          parts: [
            {
              label: "Factors",
              svg: () => drawing(PAPER).element,
              table: () => ({
                columns: [
                  ...["factor", "name", "level", "probability"],
                  ...[measures[state.x].label, measures[state.y].label],
                ],
                rows: rows(),
              }),
            },
          ],
          json: () => ({
            cut: state.cut,
            region: state.region,
            measures: [measures[state.x].name, measures[state.y].name],
            factors: points().filter(inside),
          }),
        })
      : null;

    const observer = new ResizeObserver(() => {
      if (box.clientWidth > 0) draw();
    });
    const unprint = tfvis.paper(PAPER, draw);
    /** @param {string} label @param {number} first */
    const side = (label, first) =>
      el(
        "fieldset",
        { class: "bounds" },
        el("legend", null, label),
        bounds[first].element,
        bounds[first + 1].element,
      );
    return {
      element: el(
        "article",
        { class: "level-page page" },
        parts.trail(list),
        el("h1", null, "Levels"),
        el(
          "p",
          { class: "lead muted" },
          "A factor has the level that is likeliest by what is measured of it. Where even that one is not likely enough, the factor is unclear.",
        ),
        el(
          "dl",
          { class: "level-terms" },
          data.manifest.level_names.map((name) => [
            el("dt", null, glyphs.level(name)),
            el("dd", null, MEANINGS.get(name)),
          ]),
        ),
        guessed > 0 && notice(guessed, live.length),
        known &&
          parts.panel(
            "What levels follow from",
            take,
            el("div", { class: "level-cut" }, cut.element, moved),
            chips,
            el("div", { class: "axes" }, across.element, up.element),
            el(
              "div",
              { class: "plot" },
              el(
                "div",
                null,
                box,
                readout,
                guessed < live.length && el("p", { class: "muted note" }, STRIPES),
              ),
              el(
                "div",
                { class: "sides" },
                el("h3", null, "Region"),
                side("Across", 0),
                side("Up", 2),
                parts.button("Whole plane", () => change({ region: WHOLE, level: "" })),
              ),
            ),
            summary,
            listed,
          ),
        data.manifest.layers.length > 1 &&
          tfvis.levelCurves(window.innerWidth < PHONE ? 2 : 3),
      ),
      title: `Levels · ${data.manifest.title}`,
      mounted() {
        draw();
        observer.observe(box);
      },
      close() {
        observer.disconnect();
        unprint();
      },
      update(next) {
        if (next.page !== "levels") return false;
        state = read(next.params, evidence);
        draw();
        return true;
      },
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
