/* What people say of factors: shown on each factor's page, changed where it is served. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, memory, parts } = tfvis;
  const KEY = "tfvis.by";
  const EMPTY = { level: "", label: "", note: "", by: "", changed: "" };
  let places = 0;

  /** @param {FactorNote} note */
  const who = (note) =>
    [note.by || "a person", note.changed].filter((part) => part).join(", ");

  /** All notes as a file. */
  function download() {
    const notes = Object.fromEntries(
      [...data.notes].map(([factor, note]) => [String(factor), note]),
    );
    const text = JSON.stringify({ schema: "tfvis-notes/1", notes }, null, 2);
    parts.save("notes.json", new Blob([`${text}\n`], { type: "application/json" }));
  }

  /** What is set, as text. @param {FactorNote} note */
  const said = (note) => [
    el(
      "dl",
      { class: "pairs note-said" },
      note.level && [el("dt", null, "Level"), el("dd", null, note.level)],
      note.label && [
        el("dt", null, "Label"),
        el("dd", null, el("bdi", null, note.label)),
      ],
      note.note && [
        el("dt", null, "Note"),
        el("dd", { class: "note-text", dir: "auto" }, note.note),
      ],
    ),
    el("p", { class: "muted" }, "By ", el("bdi", null, who(note)), "."),
  ];

  /** @param {number} factor @param {() => void} changed */
  function form(factor, changed) {
    const note = data.notes.get(factor) ?? EMPTY;
    places += 1;
    const id = `note-${places}`;
    /** @type {HTMLSelectElement} */
    const level = el(
      "select",
      null,
      el("option", { value: "" }, `as computed (${data.computedLevel(factor)})`),
      data.manifest.level_names.map((name) => el("option", { value: name }, name)),
    );
    level.value = note.level;
    /** @type {HTMLInputElement} */
    const label = el("input", {
      class: "search",
      type: "text",
      maxlength: 200,
      value: note.label,
      dir: "auto",
      autocomplete: "off",
    });
    /** @type {HTMLTextAreaElement} */
    const text = el("textarea", {
      class: "search",
      maxlength: 4000,
      rows: 3,
      dir: "auto",
    });
    text.value = note.note;
    /** @type {HTMLInputElement} */
    const by = el("input", {
      class: "search",
      type: "text",
      maxlength: 40,
      value: note.by || (memory.get(KEY) ?? ""),
      dir: "auto",
      autocomplete: "off",
    });
    const status = el("p", { class: "muted", role: "status" });

    async function save() {
      status.className = "muted";
      status.textContent = "Saving …";
      try {
        memory.set(KEY, by.value.trim());
        const answer = await tfvis.post("api/note", {
          factor,
          note: {
            level: level.value,
            label: label.value,
            note: text.value,
            by: by.value.trim(),
          },
        });
        data.takeNotes(/** @type {Notes} */ (answer));
        changed();
        status.textContent = "Saved in the run.";
      } catch (error) {
        status.className = "notice";
        status.textContent = parts.why(error);
      }
    }

    return el(
      "div",
      { class: "note-form" },
      parts.field(`${id}-level`, "Level", level),
      parts.field(`${id}-label`, "Label", label),
      parts.field(`${id}-by`, "Your name", by),
      el("div", { class: "note-wide" }, parts.field(`${id}-text`, "Note", text)),
      el(
        "button",
        { type: "button", class: "button main-button", on: { click: save } },
        "Save",
      ),
      status,
    );
  }

  tfvis.notePanel = (factor, changed) => {
    const note = data.notes.get(factor);
    const all = el("button", {
      type: "button",
      class: "button",
      on: { click: download },
    });
    function count() {
      all.hidden = data.notes.size === 0;
      all.textContent = `Download all notes (${data.notes.size})`;
    }
    count();
    return el(
      "section",
      { class: "panel", "aria-labelledby": "note-title" },
      el(
        "div",
        { class: "panel-head" },
        el("h2", { id: "note-title" }, "What people say of it"),
        all,
      ),
      data.notesEditable
        ? form(factor, () => {
            count();
            changed();
          })
        : note
          ? said(note)
          : el(
              "p",
              { class: "muted" },
              "Nothing yet. A level, a label and a note can be set on the page that ",
              el("code", null, "tfvis view RUN"),
              " serves.",
            ),
    );
  };

  /** Who set the level, and what the rule says. */
  tfvis.levelSource = (factor) => {
    const note = data.notes.get(factor);
    if (!note?.level) return null;
    return el(
      "p",
      { class: "reason" },
      "Level set by ",
      el("bdi", null, who(note)),
      "; the rule says ",
      tfvis.glyphs.level(data.computedLevel(factor), data.computedNote(factor)),
      ".",
    );
  };
}
