/* A sentence as tokens × layers: each cell says the words of its strongest factor. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs } = tfvis;
  const WEAKEST = 0.06;
  /** From here on the colour takes black text in the dark, too. */
  const BRIGHT = 0.655;
  /** @type {{[key: string]: [number, number]}} */
  const STEPS = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };

  /** @param {SentenceHead} head @param {number} token */
  function tokenText(head, token) {
    const piece = head.pieces[token];
    const shown = head.masked?.includes(token) ? "" : head.tokens[token];
    return shown || piece;
  }

  /** @param {HTMLElement} cell @param {number} strength from 0 to 1 */
  function colour(cell, strength) {
    cell.style.setProperty("--strength", strength.toFixed(3));
    cell.classList.toggle("bright", strength > BRIGHT);
  }

  /** @param {Value} part */
  const visible = (part) => Math.min(1, Math.max(WEAKEST, part ?? 0));

  tfvis.tokenText = tokenText;

  tfvis.sentenceGrid = (head, name, choose, light) => {
    /** @type {Map<HTMLElement, GridCode>} */
    const codes = new Map();
    /** The cell that is pointed at or focused: it keeps its words. @type {HTMLElement|null} */
    let pointed = null;
    /** @type {HTMLElement[][]} */
    const cells = head.tokens.map((_, token) =>
      head.layers.map((layer, i) =>
        el(
          "td",
          {
            class: "waiting",
            role: "gridcell",
            tabindex: token === 0 && i === 0 ? 0 : -1,
            "data-token": token,
            "data-layer": layer,
            "aria-label": `${tokenText(head, token)}, layer ${layer}: not yet encoded`,
          },
          el("span", { class: "in-cell", "aria-hidden": "true" }, "·"),
        ),
      ),
    );
    /** The cell that Tab reaches. */
    let current = cells[0][0];

    /** The place of a cell. @param {HTMLElement} cell @returns {[number, number]} */
    function place(cell) {
      const token = Number(cell.dataset.token);
      return [token, cells[token].indexOf(cell)];
    }

    /** @param {Event} event @returns {HTMLElement|null} */
    const cellOf = (event) =>
      event.target instanceof Element ? event.target.closest("td") : null;

    /** The strongest factor of a cell. @param {HTMLElement|null} cell @returns {Value} */
    function strongest(cell) {
      const [first] = (cell && codes.get(cell)?.alphas.keys()) ?? [];
      return first ?? null;
    }

    /** @param {HTMLElement} cell */
    function reach(cell) {
      current.tabIndex = -1;
      current = cell;
      current.tabIndex = 0;
    }

    /** @param {HTMLElement|null} cell */
    function point(cell) {
      pointed = cell;
      light(strongest(cell));
    }

    /** @param {KeyboardEvent} event */
    function key(event) {
      const cell = cellOf(event);
      if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
      const [token, i] = place(cell);
      if (event.key === "Enter" || event.key === " ") choose(token, i);
      else if (event.key === "Home") cells[token][0].focus();
      else if (event.key === "End") cells[token][head.layers.length - 1].focus();
      else if (event.key in STEPS) {
        const [down, right] = STEPS[event.key];
        cells[token + down]?.[i + right]?.focus();
      } else return;
      event.preventDefault();
    }

    const table = el(
      "table",
      {
        class: "grid",
        role: "grid",
        "aria-label": name,
        on: {
          click(event) {
            const cell = cellOf(event);
            if (cell) choose(...place(cell));
          },
          keydown: key,
          mouseover: (event) => point(cellOf(event)),
          mouseleave: () => point(null),
          focusin(event) {
            const cell = cellOf(event);
            if (cell) reach(cell);
            point(cell);
          },
          focusout: () => point(null),
        },
      },
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          el("th", { scope: "col", class: "corner" }, "Token"),
          head.layers.map((layer) => el("th", { scope: "col" }, `Layer ${layer}`)),
        ),
      ),
      el(
        "tbody",
        null,
        cells.map((row, token) =>
          el(
            "tr",
            { class: head.words[token] === head.words[token - 1] ? "piece" : null },
            el("th", { scope: "row" }, el("bdi", null, tokenText(head, token))),
            row,
          ),
        ),
      ),
    );

    const box = el("div", { class: "wide grid-box" }, table);

    return {
      element: box,

      add(record) {
        const i = head.layers.indexOf(record.layer);
        for (const [token, code] of record.tokens.entries()) {
          const cell = cells[token][i];
          cell.classList.remove("waiting");
          const [best] = code.factors;
          const words = best ? glyphs.name(best[0]) : "none fires";
          const strength = best ? visible(best[2]) : 0;
          const text = tokenText(head, token);
          const said = best
            ? `${text}, layer ${record.layer}: ${words}; factor ${best[0]}, activation ${format.number(best[1])}, ${format.percent(best[2])} of the hidden state`
            : `${text}, layer ${record.layer}: no factor fires`;
          const alphas = new Map(
            code.factors.map(([factor, alpha]) => [factor, alpha ?? 0]),
          );
          codes.set(cell, { alphas, words, strength, said });
          colour(cell, strength);
          cell.replaceChildren(
            el("span", { class: "in-cell", dir: "auto", "aria-hidden": "true" }, words),
          );
          cell.setAttribute("aria-label", said);
          cell.title = best
            ? `Φ${best[0]} · ${data
                .words(best[0])
                .map(([word]) => glyphs.readable(word))
                .join(
                  ", ",
                )}\nα ${format.even(best[1])} · ${format.percent(best[2])} of ‖x‖²`
            : "";
        }
      },

      select(token, i) {
        table.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
        const cell = cells[token]?.[i];
        cell?.setAttribute("aria-selected", "true");
        if (!cell) return;
        if (!table.contains(document.activeElement)) reach(cell);
        // Only sideways: the page itself must not jump.
        const [inner, outer] = [cell, box].map((e) => e.getBoundingClientRect());
        if (inner.right > outer.right) box.scrollLeft += inner.right - outer.right;
      },

      peak(factor) {
        let most = 0;
        for (const { alphas } of codes.values()) {
          most = Math.max(most, alphas.get(factor) ?? 0);
        }
        return most;
      },

      light(factor, most, kept) {
        table.classList.toggle("lighting", factor !== null);
        let count = 0;
        for (const [cell, { alphas, words, strength, said }] of codes) {
          const alpha = factor === null ? undefined : alphas.get(factor);
          const fires = alpha !== undefined;
          const [text] = cell.children;
          cell.classList.toggle("fires", fires);
          colour(cell, fires ? visible(alpha / most) : strength);
          // The words are those of the cell's strongest factor, not of the lit one.
          text.textContent =
            fires && (kept || cell !== pointed) ? alpha.toPrecision(2) : words;
          cell.setAttribute(
            "aria-label",
            fires && kept
              ? `${said}; factor ${factor}, activation ${alpha.toPrecision(2)}`
              : said,
          );
          if (fires) count += 1;
        }
        return count;
      },
    };
  };
}
