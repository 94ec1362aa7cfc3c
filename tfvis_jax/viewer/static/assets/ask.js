/* The fields for a sentence, and for a second one to compare with. */
"use strict";
{
  const { el } = tfvis.dom;
  const { route } = tfvis;
  /** What to open on: one sentence, or two that share a word. @type {[string, string][]} */
  const EXAMPLES = [
    ["He left the bank.", ""],
    ["He left the bank.", "They sat on the left bank of the river."],
    ["She was given an award for her new theory of light.", ""],
    ["The park closes at night.", "You may park the car here."],
  ];

  /** Comparisons that are offered of recorded sentences. */
  const PAIRS = 3;

  /** @param {string} id @param {string} label @param {string} placeholder @param {() => void} ask */
  function field(id, label, placeholder, ask) {
    /** @type {HTMLInputElement} */
    const input = el("input", {
      id,
      class: "search",
      type: "text",
      placeholder,
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 5000,
      dir: "auto",
      on: { keydown: (event) => event.key === "Enter" && ask() },
    });
    return { input, label: el("label", { for: id, class: "ask-label" }, label) };
  }

  tfvis.examples = EXAMPLES;

  /** Words that say something, roughly. @param {string} text */
  const words = (text) =>
    [...text.toLowerCase().matchAll(/[\p{L}\p{M}\p{N}]{4,}/gu)].map(([word]) => word);

  tfvis.recordedExamples = (most) => {
    const texts = tfvis.data.live.recorded.slice(0, most).map(({ text }) => text);
    /** @type {[string, string][]} */
    const pairs = texts.flatMap((text, i) =>
      texts
        .slice(i + 1)
        .filter((other) => words(other).some((word) => words(text).includes(word)))
        .map((other) => /** @type {[string, string]} */ ([text, other])),
    );
    return [
      ...texts.map((text) => /** @type {[string, string]} */ ([text, ""])),
      ...pairs.slice(0, PAIRS),
    ];
  };

  /** What to type to encode sentences; a run is called as its folder. */
  tfvis.howToView = () => {
    const name = tfvis.data.manifest.title;
    return [
      el("code", null, `tfvis view ${tfvis.quoted(name)}`),
      ", with the path of the run’s folder ",
      el("bdi", null, name),
    ];
  };

  tfvis.quoted = (text) =>
    /^[\w.]+(-[\w.]+)*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

  /** Fields that lead to the page of a sentence. */
  tfvis.ask = ({ id, label, compare }) => {
    function ask() {
      const text = first.input.value.trim();
      if (!text) {
        first.input.focus();
        return;
      }
      route.go(route.sentence({ text, with: second.input.value.trim() }));
    }
    const first = field(`${id}-text`, label, "Type an English sentence", ask);
    const second = field(`${id}-with`, "Compare with", "Optional", ask);
    const button = el(
      "button",
      { type: "button", class: "button main-button", on: { click: ask } },
      "Show its factors",
    );
    return {
      element: el(
        "div",
        { class: "ask", role: "search", "aria-label": "Try your own sentence" },
        el("div", { class: "ask-field" }, first.label, first.input),
        compare && el("div", { class: "ask-field" }, second.label, second.input),
        button,
      ),
      input: first.input,
      disable() {
        for (const part of [first.input, second.input, button]) part.disabled = true;
      },
      show(text, other) {
        first.input.value = text;
        second.input.value = other;
      },
    };
  };

  tfvis.exampleSentences = (examples) =>
    el(
      "ul",
      { class: "example-sentences" },
      examples.map(([text, other]) =>
        el(
          "li",
          null,
          el(
            "a",
            { href: route.sentence({ text, with: other }) },
            el("q", { dir: "auto" }, text),
            other && [" compared with ", el("q", { dir: "auto" }, other)],
          ),
        ),
      ),
    );
}
