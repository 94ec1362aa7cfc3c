/* One token at one layer: its hidden state written out as a sum of factors. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route } = tfvis;
  /** Terms of the sum that is written in one line. */
  const WRITTEN = 4;

  /** @param {number} factor */
  const link = (factor) =>
    el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`);

  /** x ≈ 0.44 Φ406 “left, abandoned” + … + ε @param {TokenCode} code */
  function sum(code) {
    const written = code.factors.slice(0, WRITTEN);
    const left = code.l0 - written.length;
    return el(
      "p",
      { class: "sum" },
      el("i", null, "x"),
      " = ",
      written.map(([factor, alpha], i) => [
        i > 0 ? " + " : null,
        el(
          "span",
          { class: "term" },
          `${format.even(alpha)}\u00a0`,
          link(factor),
          " ",
          el("q", { dir: "auto" }, glyphs.name(factor)),
        ),
      ]),
      left > 0 && ` + ${left} more`,
      written.length > 0 ? " + " : null,
      el("i", null, "ε"),
    );
  }

  /** The same for a paper: x = 0.44\,\varphi_{406} + … @param {TokenCode} code @param {number} k */
  function formula({ factors, l0 }, k) {
    const terms = factors
      .slice(0, k)
      .map(([factor, alpha]) => `${format.even(alpha)}\\,\\varphi_{${factor}}`);
    if (l0 > terms.length) terms.push("\\cdots");
    return `$x = ${[...terms, "\\varepsilon"].join(" + ")}$`;
  }

  /**
   * A row of the table. @param {string} kind @param {Child} who @param {Child} what
   * @param {Child} alpha @param {Value} share @param {...Child} more
   */
  function row(kind, who, what, alpha, share, ...more) {
    const bar = Math.min(1, Math.max(0, share ?? 0));
    return el(
      "tr",
      { class: kind },
      el("th", { scope: "row" }, who),
      el("td", { class: "what" }, what),
      el("td", { class: "alpha" }, alpha),
      el(
        "td",
        { class: "share" },
        el("span", { class: "meter", style: { "--share": bar.toFixed(3) } }),
        el("span", { class: "percent" }, format.percent(share)),
      ),
      more,
    );
  }

  /** The table, cut after the `k` strongest. @param {CellView} view @param {number} k */
  function table(view, k) {
    const { code, other } = view;
    const kept = code.factors.slice(0, k);
    const shares = kept.reduce((total, [, , share]) => total + (share ?? 0), 0);
    const left = code.l0 - kept.length;
    const here = new Set(code.factors.map(([factor]) => factor));
    const gone = [...(other ?? [])].filter(([factor]) => !here.has(factor));
    /** @param {number} factor */
    const beside = (factor) =>
      other && el("td", { class: "alpha beside" }, format.even(other.get(factor) ?? 0));
    /** @param {number} factor */
    const pin = (factor) =>
      el(
        "td",
        { class: "pin" },
        el(
          "button",
          {
            type: "button",
            class: "quiet",
            "aria-pressed": String(view.pinned === factor),
            "aria-label": `Keep factor ${factor} lit in the grid`,
            title: "Keep it lit in the grid",
            on: { click: () => view.pin(factor) },
          },
          "◉",
        ),
      );
    const body = el(
      "tbody",
      {
        on: {
          mouseover: (event) => view.light(factorOf(event)),
          mouseleave: () => view.light(null),
          focusin: (event) => view.light(factorOf(event)),
          focusout: () => view.light(null),
        },
      },
      kept.map(([factor, alpha, share]) => {
        const line = row(
          "factor-row",
          link(factor),
          glyphs.what(factor),
          format.even(alpha),
          share,
          beside(factor),
          pin(factor),
        );
        line.dataset.factor = String(factor);
        return line;
      }),
      left > 0 &&
        row(
          "rest",
          "…",
          `${left} more ${left === 1 ? "factor" : "factors"}`,
          "",
          1 - shares - (code.residual_share ?? 0),
          other && el("td"),
          el("td"),
        ),
      row(
        "rest",
        el("i", null, "ε"),
        el(
          "span",
          { title: `‖ε‖ / ‖x‖ = ${format.percent(code.residual)}` },
          "residual: in no factor",
        ),
        "",
        code.residual_share,
        other && el("td"),
        el("td"),
      ),
      gone
        .sort(([, a], [, b]) => b - a)
        .slice(0, 3)
        .map(([factor, alpha]) => {
          const line = row(
            "factor-row gone",
            link(factor),
            glyphs.what(factor),
            "0",
            0,
            el("td", { class: "alpha beside" }, format.even(alpha)),
            pin(factor),
          );
          line.dataset.factor = String(factor);
          return line;
        }),
    );
    return el(
      "table",
      { class: "terms-table" },
      el("caption", { class: "unseen" }, "The factors of this token, strongest first"),
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          el("th", { scope: "col" }, "Factor"),
          el("th", { scope: "col", class: "what" }, "Words that fire it"),
          el("th", { scope: "col", class: "alpha" }, "α"),
          el(
            "th",
            {
              scope: "col",
              class: "share",
              title: "α φ·x / ‖x‖²; the shares add up to 1",
            },
            "Share of ‖x‖²",
          ),
          other &&
            el("th", { scope: "col", class: "alpha" }, view.otherName ?? "α there"),
          el("th", { scope: "col", class: "pin" }, "Keep lit"),
        ),
      ),
      body,
    );
  }

  /** The factor of the row where something happened. @param {Event} event @returns {Value} */
  function factorOf(event) {
    const target = event.target instanceof Element ? event.target : null;
    const line = target?.closest("tr");
    return line?.dataset.factor ? Number(line.dataset.factor) : null;
  }

  /** @param {string} term @param {string} value @param {string} title */
  const fact = (term, value, title) =>
    el("div", { title }, el("dt", null, term), el("dd", null, value));

  tfvis.cellPanel = (view) => {
    const { code } = view;
    const most = code.factors.length;
    let k = Math.min(view.cut, most);
    let shown = table(view, k);
    const count = el("output", null, k);
    const id = `cut-${view.id}`;
    const title = `“${view.token}” at layer ${view.layer}`;
    const subject = `${title} of “${view.of}”`;
    const take = tfvis.take({
      title: `the sum of ${title}${view.where}`,
      name: () => ["sentence", view.file, `layer-${view.layer}`, view.token],
      subject: () => subject,
      parts: [
        {
          label: "Sum",
          svg: () => tfvis.draw.sum(subject, code, k),
          table: () => ({
            columns: ["term", "activation", "share of |x|^2", "label", "words"],
            rows: [
              ...code.factors.map(([factor, alpha, share]) => [
                ...[`factor ${factor}`, alpha, share, data.label(factor)],
                data
                  .words(factor)
                  .map(([word]) => word)
                  .join(" "),
              ]),
              ["residual", null, code.residual_share, null, null],
            ],
          }),
        },
        { label: "Sum in LaTeX", tex: () => formula(code, k) },
      ],
      json: () => ({ token: view.token, layer: view.layer, ...code }),
    });
    /** @type {HTMLInputElement} */
    const cut = el("input", {
      type: "range",
      id,
      min: 1,
      max: Math.max(1, most),
      value: k,
      on: {
        input() {
          k = Number(cut.value);
          count.textContent = String(k);
          const next = table(view, k);
          shown.replaceWith(next);
          shown = next;
        },
        change: () => view.setCut(k),
      },
    });
    return el(
      "section",
      {
        class: "panel cell-panel",
        "aria-label": `“${view.token}” at layer ${view.layer}${view.where}`,
      },
      el(
        "div",
        { class: "panel-head" },
        el("h2", null, "“", el("bdi", null, view.token), `” at layer ${view.layer}`),
        el("div", { class: "panel-tools" }, view.action, take),
      ),
      view.where && el("p", { class: "muted of" }, el("bdi", null, view.of)),
      sum(code),
      el(
        "dl",
        { class: "facts" },
        fact("L0", String(code.l0), "Number of active factors"),
        code.gap !== null &&
          fact(
            "duality gap",
            format.number(code.gap),
            "How far the code may be from the best one, relative to ½‖x‖²",
          ),
      ),
      most > 1 &&
        el(
          "p",
          { class: "cut" },
          el("label", { for: id }, "Strongest factors shown"),
          cut,
          count,
        ),
      el("p", { class: "muted pin-help" }, "◉ keeps a factor lit in the grid."),
      shown,
    );
  };
}
