/* A sentence as tokens × layers: each cell says the words of its strongest factor. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs } = tfvis;
  const WEAKEST = 0.06;
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

  /** The colour of a cell: the share of its strongest factor. @param {Value} share */
  function strength(share) {
    return Math.min(1, Math.max(WEAKEST, share ?? 0)).toFixed(3);
  }

  tfvis.tokenText = tokenText;

  tfvis.sentenceGrid = (head, name, choose, light) => {
    /** Codes of each cell: α by factor. @type {Map<HTMLElement, Map<number, number>>} */
    const codes = new Map();
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
      const [first] = (cell && codes.get(cell)?.keys()) ?? [];
      return first ?? null;
    }

    /** @param {HTMLElement} cell */
    function reach(cell) {
      current.tabIndex = -1;
      current = cell;
      current.tabIndex = 0;
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
          mouseover: (event) => light(strongest(cellOf(event))),
          mouseleave: () => light(null),
          focusin(event) {
            const cell = cellOf(event);
            if (cell) reach(cell);
            light(strongest(cell));
          },
          focusout: () => light(null),
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
          codes.set(
            cell,
            new Map(code.factors.map(([factor, alpha]) => [factor, alpha ?? 0])),
          );
          const [best] = code.factors;
          const words = best ? glyphs.name(best[0]) : "none fires";
          cell.style.setProperty("--strength", best ? strength(best[2]) : "0");
          cell.replaceChildren(
            el("span", { class: "in-cell", dir: "auto", "aria-hidden": "true" }, words),
          );
          const text = tokenText(head, token);
          cell.setAttribute(
            "aria-label",
            best
              ? `${text}, layer ${record.layer}: ${words}; factor ${best[0]}, activation ${format.number(best[1])}, ${format.percent(best[2])} of the hidden state`
              : `${text}, layer ${record.layer}: no factor fires`,
          );
          cell.title = best
            ? `Φ${best[0]} · ${data
                .words(best[0])
                .map(([word]) => word)
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

      light(factor) {
        table.classList.toggle("lighting", factor !== null);
        let count = 0;
        for (const [cell, alphas] of codes) {
          const fires = factor !== null && alphas.has(factor);
          cell.classList.toggle("fires", fires);
          if (fires) count += 1;
        }
        return count;
      },
    };
  };
}
