/* Two tokens beside each other: the factors in which they differ. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  const { format, glyphs, route } = tfvis;
  /** Factors shown at first. */
  const FEW = 10;
  const WORD = /[\p{L}\p{N}]/u;
  /** Most function words are shorter, and tell less. */
  const LONG = /[\p{L}\p{M}\p{N}]{4}/u;

  /** α of every factor that fires at either token, by factor. @param {TokenCode} one @param {TokenCode} two */
  function both(one, two) {
    /** @type {Map<number, [number, number]>} */
    const found = new Map(
      one.factors.map(([factor, alpha]) => [factor, [alpha ?? 0, 0]]),
    );
    for (const [factor, alpha] of two.factors) {
      found.set(factor, [found.get(factor)?.[0] ?? 0, alpha ?? 0]);
    }
    return found;
  }

  /** The part of α that two tokens do not share, from 0 to 1. @param {TokenCode} one @param {TokenCode} two */
  function apart(one, two) {
    let [differs, all] = [0, 0];
    for (const [a, b] of both(one, two).values()) {
      differs += Math.abs(a - b);
      all += a + b;
    }
    return all > 0 ? differs / all : 0;
  }

  /** Positions of the layers of the middle half: the outer ones differ least in meaning. @param {number} n */
  function middle(n) {
    const [from, to] = [Math.ceil((n - 1) / 4), Math.floor((3 * (n - 1)) / 4)];
    const found = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    return found.length > 0 ? found : [0];
  }

  /** For a file: α of both, and bars to the side of the larger. @param {string} title @param {[number, number, number][]} rows @param {string[]} sides */
  function drawing(title, rows, sides) {
    const { fit, sheet, text } = tfvis.draw;
    const [row, middle, room] = [22, 510, 150];
    const [before, after] = [middle - room - 10, middle + room + 10];
    const most = Math.max(1e-12, ...rows.map(([, a, b]) => Math.abs(a - b)));
    return sheet(
      [720, (rows.length + 2) * row + 6],
      text(0, 15, fit(title, 720, false, true), { "font-weight": 700 }),
      text(before, row + 15, `α ${sides[0]}`, { "text-anchor": "end" }),
      text(after, row + 15, `α ${sides[1]}`),
      rows.map(([factor, a, b], i) => {
        const y = (i + 2) * row + 15;
        const bar = (Math.abs(a - b) / most) * room;
        return [
          text(0, y, `Φ${factor}`),
          text(56, y, fit(glyphs.name(factor), before - 110)),
          text(before, y, format.even(a), { "text-anchor": "end" }),
          text(after, y, format.even(b)),
          svg("rect", {
            x: (a > b ? middle - bar : middle).toFixed(1),
            y: y - 12,
            width: bar.toFixed(1),
            height: 15,
            fill: a > b ? "#0068a5" : "#a85400",
          }),
        ];
      }),
    );
  }

  tfvis.pair = {
    /** The word of both sentences, a long one if any differs, and the position of a middle layer, that differ most. */
    open(one, two, partners, token, layer) {
      /** @type {[number, number]|null} */
      let found = null;
      for (const kind of [LONG, WORD]) {
        // A long word is worth opening on if it differs at all.
        let most = kind === LONG ? 0 : -1;
        for (const [i, j] of partners.entries()) {
          if (j === null || (token !== null && token !== i)) continue;
          if (token === null && !kind.test(one.head?.tokens[i] ?? "")) continue;
          for (const at of layer === null ? middle(one.layers.length) : [layer]) {
            const far = apart(one.layers[at].tokens[i], two.layers[at].tokens[j]);
            if (far <= most) continue;
            most = far;
            found = [i, at];
          }
        }
        if (found) break;
      }
      return found;
    },

    panel({ cells, layer, sides, file, light, all, setAll }) {
      const [one, two] = cells;
      /** @type {[number, number, number][]} */
      const rows = [...both(one.code, two.code)]
        .map(([f, [a, b]]) => /** @type {[number, number, number]} */ ([f, a, b]))
        .sort(([f, a, b], [g, c, d]) => Math.abs(c - d) - Math.abs(a - b) || f - g);
      const largest = rows.length > 0 ? Math.abs(rows[0][1] - rows[0][2]) : 0;
      const title = [...new Set([one.token, two.token])]
        .map((t) => `“${t}”`)
        .join(" and ");
      const subject = `${title} at layer ${layer}, in “${one.of}” and in “${two.of}”`;

      /** @param {[number, number, number]} row */
      function line([factor, a, b]) {
        const side = a > b ? 0 : 1;
        const said =
          a === b ? "the same" : `${format.even(Math.abs(a - b))} more ${sides[side]}`;
        return el(
          "tr",
          {
            "data-factor": factor,
            on: {
              mouseenter: () => light(factor),
              mouseleave: () => light(null),
              focusin: () => light(factor),
              focusout: () => light(null),
            },
          },
          el(
            "th",
            { scope: "row" },
            el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`),
          ),
          el("td", { class: "what" }, glyphs.what(factor)),
          el("td", { class: "alpha" }, format.even(a)),
          el(
            "td",
            { class: "lean", title: said },
            el("span", { class: "unseen" }, said),
            el("span", {
              class: side === 0 ? "bar to-first" : "bar",
              style: { "--lean": (Math.abs(a - b) / (largest || 1)).toFixed(3) },
            }),
          ),
          el("td", { class: "alpha second" }, format.even(b)),
        );
      }

      const body = el("tbody");
      const more = tfvis.parts.button("", () => {
        all = !all;
        setAll(all);
        draw();
      });
      function draw() {
        body.replaceChildren(...rows.slice(0, all ? rows.length : FEW).map(line));
        more.textContent = all ? `The ${FEW} largest` : `All ${rows.length}`;
        more.ariaExpanded = String(all);
      }
      more.hidden = rows.length <= FEW;
      draw();
      const take = tfvis.take({
        title: `the differences of ${title}`,
        name: () => file,
        subject: () => subject,
        parts: [
          {
            label: "Differences",
            svg: () => drawing(subject, rows.slice(0, all ? rows.length : FEW), sides),
            table: () => ({
              columns: [
                "factor",
                "name",
                ...sides.map((side) => `activation ${side}`),
                "difference",
              ],
              rows: rows.map(([f, a, b]) => [f, glyphs.name(f), a, b, a - b]),
            }),
          },
        ],
        json: () => ({
          layer,
          tokens: cells.map(({ token, of, code }) => ({
            token,
            sentence: of,
            ...code,
          })),
        }),
      });
      /** @param {PairCell} cell @param {string} side */
      const named = ({ token, of }, side) => [
        "“",
        el("bdi", null, token),
        "” of “",
        el("bdi", null, of),
        `” (${side.replace("in ", "")})`,
      ];
      return tfvis.parts.panel(
        ["What differs: ", el("bdi", null, title), ` at layer ${layer}`],
        take,
        el(
          "table",
          { class: "pair-table" },
          el(
            "caption",
            { class: "muted" },
            named(one, sides[0]),
            " and ",
            named(two, sides[1]),
            `, at layer ${layer}. A bar points to the one with the larger α: left or right.`,
          ),
          el(
            "thead",
            null,
            el(
              "tr",
              null,
              el("th", { scope: "col" }, "Factor"),
              el("th", { scope: "col", class: "what" }, "Words that fire it"),
              el("th", { scope: "col", class: "alpha" }, `α ${sides[0]}`),
              el("th", { scope: "col", class: "lean" }, "Difference"),
              el("th", { scope: "col", class: "alpha second" }, `α ${sides[1]}`),
            ),
          ),
          body,
        ),
        more,
      );
    },
  };
}
