/* What several pages are made of: panels, switches, tables, the way back. */
"use strict";
{
  const { el } = tfvis.dom;
  /** Names panels: the list stays in the document while another page is shown. */
  let panels = 0;

  tfvis.parts = {
    /** The way back to the list. */
    trail: (list, ...more) =>
      el(
        "nav",
        { class: "trail", "aria-label": "Factors" },
        el("a", { href: list.address() }, "All factors"),
        more,
      ),

    /** A part of a page with a title, and with tools beside it. */
    panel(title, tools, ...children) {
      panels += 1;
      const id = `panel-${panels}`;
      return el(
        "section",
        { class: "panel", "aria-labelledby": id },
        el("div", { class: "panel-head" }, el("h2", { id }, title), tools),
        children,
      );
    },

    /** Buttons of which one is pressed. */
    choices(label, options, choose) {
      const buttons = options.map(([value, text]) =>
        el(
          "button",
          { type: "button", "data-value": value, on: { click: () => choose(value) } },
          text,
        ),
      );
      return {
        element: el(
          "div",
          { class: "switch", role: "group", "aria-label": label },
          buttons,
        ),
        show(chosen) {
          for (const button of buttons) {
            const pressed = button.dataset.value === chosen;
            button.setAttribute("aria-pressed", String(pressed));
          }
        },
      };
    },

    /** The first cell of each row names it. */
    table: (heads, rows) =>
      el(
        "table",
        { class: "plain" },
        el(
          "thead",
          null,
          el(
            "tr",
            null,
            heads.map((head) => el("th", { scope: "col" }, head)),
          ),
        ),
        el(
          "tbody",
          null,
          rows.map(([name, ...cells]) =>
            el(
              "tr",
              null,
              el("th", { scope: "row" }, name),
              cells.map((cell) => el("td", null, cell)),
            ),
          ),
        ),
      ),

    /** Facts with dots between them; a line ends between two if it can. */
    inARow: (facts) =>
      facts.flatMap((fact) => [el("span", { class: "part" }, fact), " "]),

    /** What opens on a click. It scrolls, so the keyboard must reach it. */
    folded: (label, summary, content) =>
      el(
        "details",
        { class: "as-table" },
        el("summary", null, summary),
        el("div", { tabindex: 0, role: "region", "aria-label": label }, content),
      ),

    /** A field and its name. */
    field(id, label, input) {
      input.id = id;
      return el(
        "div",
        { class: "ask-field" },
        el("label", { for: id, class: "ask-label" }, label),
        input,
      );
    },

    button: (label, click, more = {}) =>
      el("button", { type: "button", class: "button", ...more, on: { click } }, label),

    /** What went wrong, in a sentence. */
    why: (error) => (error instanceof Error ? error.message : String(error)),

    /** Gives a text as a file. */
    save(name, content) {
      const link = el("a", { href: URL.createObjectURL(content), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    },
  };
}
