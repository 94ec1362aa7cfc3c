/* What a panel shows, to take away: SVG, PNG, CSV, LaTeX, JSON and the link. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format } = tfvis;
  /** A program that opens a table must not run a cell of it. */
  const FORMULA = /^[=+\-@\t\r](?=.)/;

  /** A column and, in parentheses, what it holds. */
  const EXPLAINED = /^(.*\S) \((.*)\)$/s;

  /** @param {string|number|null|undefined} value */
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** @param {Table} table */
  const csv = ({ columns, rows }) =>
    `${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;

  /** What TeX reads as itself. @type {{[character: string]: string}} */
  const TEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "\n": " ",
    // After the end of a row they would belong to it.
    "[": "{[}",
    "*": "{*}",
  };

  /** @param {Value|string|undefined} value */
  const tex = (value) =>
    typeof value === "number"
      ? `${Number.isInteger(value) ? value : Number(value.toPrecision(3))}`.replace(
          /^-/,
          "$-$",
        )
      : (value ?? "").replace(
          /[\\~^\n[*&%$#_{}]/g,
          (character) => TEX[character] ?? `\\${character}`,
        );

  /**
   * Rows for the package booktabs. What a column's name says in parentheses goes into the
   * caption: a column is as wide as its name.
   * @param {Table} table @param {string} about
   */
  function latex({ columns, rows }, about) {
    const named = columns.map((column) => EXPLAINED.exec(column));
    const heads = columns.map((column, i) => named[i]?.[1] ?? column);
    const notes = named.flatMap((found) => (found ? `${found[1]}: ${found[2]}` : []));
    const caption = [about, notes.join("; ")].filter(Boolean).join(". ");
    const kinds = columns.map((_, i) => (typeof rows[0]?.[i] === "number" ? "r" : "l"));
    /** @param {(Value|string|undefined)[]} row */
    const line = (row) => `${row.map(tex).join(" & ")} \\\\`;
    return [
      `% ${provenance().replace(/\s/g, " ")}`,
      "\\begin{table}",
      `\\caption{${tex(caption)}.}`,
      `\\begin{tabular}{${kinds.join("")}}`,
      ...["\\toprule", line(heads), "\\midrule", ...rows.map(line), "\\bottomrule"],
      "\\end{tabular}",
      "\\end{table}\n",
    ].join("\n");
  }

  /** Letters and digits of any script, for the name of a file. @param {string} text */
  const plain = (text) =>
    text
      .normalize("NFC")
      .replace(/[^\p{L}\p{M}\p{N}._]+/gu, "-")
      .replace(/^[-.]+|[-.]+$/g, "")
      .slice(0, 60);

  /** @param {string} text */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Not allowed here: as pages opened from disk did it before.
      const field = el("textarea", { class: "unseen", readonly: true }, text);
      document.body.append(field);
      field.select();
      const copied = document.execCommand("copy");
      field.remove();
      if (!copied) throw new Error("The browser does not let this page copy.");
    }
  }

  /** What the run is; goes into every file that has room for it. */
  function run() {
    const { title, model, corpus, layers, l1_penalty, schema } = data.manifest;
    return { title, model, corpus, layers, l1_penalty, schema };
  }

  /** The numbers and names of a run, for people. */
  function provenance() {
    const { title, model, corpus, layers, l1_penalty } = data.manifest;
    return `${title}: ${model}, ${corpus}, ${format.layers(layers)}, ${format.codes(l1_penalty)}`;
  }

  tfvis.take = ({ title, name, subject, parts, json, link }) => {
    const said = el("p", { class: "take-said", role: "status" });
    /** The name of a file: run, factor, layer, what it is. @param {string[]} more */
    const stem = (...more) =>
      [data.manifest.title, ...name(), ...more].map(plain).filter(Boolean).join("-");

    /** @param {string} label @param {string} aria @param {() => unknown} act */
    const button = (label, aria, act) =>
      el(
        "button",
        {
          type: "button",
          class: "button",
          "aria-label": aria,
          on: {
            async click() {
              try {
                said.textContent = String((await act()) ?? "");
              } catch (error) {
                said.textContent = tfvis.parts.why(error);
              }
            },
          },
        },
        label,
      );

    /** @param {string} file @param {string} type @param {string} text */
    function saved(file, type, text) {
      tfvis.parts.save(file, new Blob([text], { type }));
      return `Saved ${file}`;
    }

    /** @param {TakePart} part */
    async function drawing({ label, svg, head }) {
      await tfvis.need("save");
      const found = svg?.();
      if (!found) throw new Error("There is nothing to draw here.");
      const drawn = head ? tfvis.draw.headed(found, head()) : found;
      return tfvis.vector.text(
        drawn,
        `${subject?.() ?? stem()}: ${label}`,
        provenance(),
      );
    }

    /** @param {TakePart} part */
    const line = (part) => {
      const { label, key = "", svg, table, head } = part;
      /** @param {string} kind */
      const file = (kind) => `${stem(typeof key === "string" ? key : key())}.${kind}`;
      return el(
        "div",
        { class: "take-line", role: "group", "aria-label": label },
        el("span", null, label),
        svg && [
          button("SVG", `${label} as SVG`, async () =>
            saved(file("svg"), "image/svg+xml", await drawing(part)),
          ),
          button("PNG", `${label} as PNG`, async () => {
            // This loads what draws pictures.
            const text = await drawing(part);
            tfvis.parts.save(file("png"), await tfvis.vector.picture(text));
            return `Saved ${file("png")}`;
          }),
        ],
        table && [
          button("CSV", `${label} as CSV`, () =>
            saved(file("csv"), "text/csv;charset=utf-8", csv(table())),
          ),
          button("LaTeX", `${label} as LaTeX`, () =>
            saved(
              file("tex"),
              "text/x-tex;charset=utf-8",
              latex(table(), head?.() ?? title[0].toUpperCase() + title.slice(1)),
            ),
          ),
        ],
        part.tex &&
          button("Copy", `Copy ${label}`, async () => {
            await copy(part.tex?.() ?? "");
            return "Copied";
          }),
      );
    };

    const summary = el(
      "summary",
      { class: "quiet", "aria-label": `Save ${title}`, title: "Save or copy" },
      el("span", { "aria-hidden": "true" }, "↓"),
      " Save",
    );
    /** @type {HTMLDetailsElement} */
    const menu = el(
      "details",
      {
        class: "take",
        on: {
          toggle() {
            said.textContent = "";
          },
          keydown(event) {
            if (event.key !== "Escape" || !menu.open) return;
            event.preventDefault();
            menu.open = false;
            summary.focus();
          },
          focusout(event) {
            const next = event.relatedTarget;
            // A click beside a button goes to nothing.
            if (next instanceof Node && !menu.contains(next)) menu.open = false;
          },
        },
      },
      summary,
      el(
        "div",
        { class: "take-box" },
        parts.map(line),
        el(
          "div",
          { class: "take-line", role: "group", "aria-label": "All of it" },
          el("span", null, "All of it"),
          json &&
            button("JSON", `${title} as JSON`, () => {
              const value = { run: run(), ...json() };
              const text = `${JSON.stringify(value, null, 1)}\n`;
              return saved(`${stem()}.json`, "application/json", text);
            }),
          button("Copy link", `Copy link to ${title}`, async () => {
            const here = location.href.split("#")[0];
            await copy(`${here}${link?.() ?? (location.hash || "#/")}`);
            return "Copied the link";
          }),
        ),
        said,
      ),
    );
    return menu;
  };

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.take[open]")) {
      if (event.target instanceof Node && !menu.contains(event.target)) {
        menu.removeAttribute("open");
      }
    }
  });
}
