/* A sentence in factors: #/sentence?text=He+left.&with=…&token=1&layer=6&k=5&lit=406 */
"use strict";
{
  const { el } = tfvis.dom;
  const { format, glyphs, route } = tfvis;
  const CUT = 6;
  /** Milliseconds after which it is said why nothing has come. */
  const PATIENCE = 1500;

  /** @param {string|null} text @returns {Value} */
  const whole = (text) =>
    text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null;

  /** @param {URLSearchParams} params @returns {SentenceState} */
  function read(params) {
    return {
      text: params.get("text") || "",
      with: params.get("with") || "",
      mask: whole(params.get("mask")),
      token: whole(params.get("token")),
      token2: whole(params.get("token2")),
      layer: whole(params.get("layer")),
      k: whole(params.get("k")),
      lit: whole(params.get("lit")),
    };
  }

  /** The token to open on: the first of the longest. @param {SentenceHead} head */
  function firstToken(head) {
    const lengths = head.tokens.map((token) => token.length);
    return lengths.indexOf(Math.max(...lengths));
  }

  /** @param {SentenceHead} head */
  const legend = (head) => [
    `${format.count(head.tokens.length)} tokens, ${format.layers(head.layers)}. Colour: `,
    "share of the hidden state that the strongest factor explains, 0",
    el("span", { class: "ramp", role: "img", "aria-label": "to" }),
    "100 %.",
  ];

  /**
   * One sentence: its grid and how far it has come. `changed` hears of every record.
   * @param {Question} question @param {string} name
   * @param {{choose(token: number, i: number): void, light(factor: Value): void, changed(): void}} act
   * @returns {SentenceBlock}
   */
  function makeBlock(question, name, act) {
    const stop = new AbortController();
    const status = el("p", { class: "progress muted", role: "status" });
    const place = el("div");
    const again = el(
      "button",
      { type: "button", class: "button", on: { click: () => run() } },
      "Try again",
    );
    const failure = el("div", { class: "failure", hidden: true });
    let drawn = 0;

    /** @type {SentenceBlock} */
    const block = {
      element: el("div", { class: "sentence-block" }, failure, place, status),
      sentence: null,
      grid: null,
      missing: false,
      run,
      close: () => stop.abort(),
    };

    /** @param {Sentence} sentence */
    function grown(sentence) {
      const { head, layers } = sentence;
      if (!head) return;
      block.sentence = sentence;
      if (!block.grid) {
        block.grid = tfvis.sentenceGrid(head, name, act.choose, act.light);
        place.replaceChildren(block.grid.element);
      }
      for (; drawn < layers.length; drawn += 1) block.grid.add(layers[drawn]);
      if (drawn < head.layers.length) {
        status.textContent = `Layer ${drawn} of ${head.layers.length} …`;
      } else status.replaceChildren(...legend(head));
      act.changed();
    }

    async function run() {
      block.sentence = null;
      block.grid = null;
      block.missing = false;
      drawn = 0;
      failure.hidden = true;
      place.replaceChildren();
      status.textContent = "Waiting for the first layer …";
      const waiting = setTimeout(() => {
        if (block.sentence) return;
        status.textContent =
          "Waiting for the first layer … The first sentence of a length takes up to half a minute: its programs are compiled.";
      }, PATIENCE);
      try {
        const whole = await tfvis.live.sentence(question, grown, stop.signal);
        if (whole === null) {
          block.missing = true;
          status.textContent = "";
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        status.textContent = "";
        failure.replaceChildren(
          el(
            "p",
            { class: "notice", role: "alert" },
            error instanceof Error ? error.message : String(error),
          ),
          again,
        );
        failure.hidden = false;
      } finally {
        clearTimeout(waiting);
      }
      act.changed();
    }

    return block;
  }

  /** What to do where sentences cannot be encoded. @param {Live} live @param {boolean} asked */
  function howToLive(live, asked) {
    return el(
      "div",
      { class: "notice", role: "note" },
      el(
        "p",
        null,
        asked && "This sentence is not among the recorded ones. ",
        "These files hold no encoder. To encode sentences of your own, type ",
        el("code", null, "tfvis view RUN"),
        ", with the folder of the run in place of RUN, and open the address that it prints.",
      ),
      live.recorded.length > 0 && [
        el("p", null, "Recorded sentences:"),
        tfvis.exampleSentences(live.recorded.map(({ text }) => [text, ""])),
      ],
    );
  }

  tfvis.sentencePage = async (at, list) => {
    const live = await tfvis.live.open();
    let state = read(at.params);
    /** @type {SentenceBlock[]} */
    let blocks = [];
    /** @type {(() => void)[]} */
    let closers = [];
    const ask = tfvis.ask({ id: "page", label: "Your sentence", compare: true });
    if (!live.live) ask.disable();
    const intro = el("div", { class: "intro" });
    const note = el("p", { class: "lit-note muted" });
    const grids = el("div");
    const details = el("div", { class: "details" });

    /** The address of a state, its parts changed. @param {Partial<SentenceState>} part */
    const address = (part) => route.sentence({ ...state, ...part });

    /** @param {Value} factor */
    function light(factor) {
      const lit = factor ?? state.lit;
      const counts = blocks.map((block) => block.grid?.light(lit) ?? 0);
      const total = counts.reduce((a, b) => a + b, 0);
      note.textContent =
        lit === null
          ? "Point at a cell to see where its strongest factor fires. Choose one to see the whole sum."
          : `Φ${lit} ${glyphs.name(lit)}: fires in ${total} ${total === 1 ? "cell" : "cells"}`;
    }

    /** @param {number} factor */
    const pin = (factor) =>
      route.go(address({ lit: state.lit === factor ? null : factor }));

    /** Position of the layer shown. @param {Sentence} sentence */
    function layerShown({ head, layers }) {
      const asked = head ? head.layers.indexOf(state.layer ?? -1) : -1;
      return asked >= 0 ? asked : layers.length - 1;
    }

    /** The token shown of the second sentence. @param {SentenceHead} one @param {SentenceHead} two @param {number} token */
    function partner(one, two, token) {
      if (state.mask !== null) return token;
      if (state.token2 !== null && state.token2 < two.tokens.length)
        return state.token2;
      const [a, b] = [one, two].map((head) =>
        head.tokens.map((text) => text.toLowerCase()),
      );
      return tfvis.align(a, b)[token];
    }

    /** @param {SentenceHead} head @param {number} token */
    function maskAction(head, token) {
      if (!live.live || state.with) return null;
      const masked = state.mask === token;
      return el(
        "a",
        {
          class: "button",
          href: masked
            ? address({ mask: null })
            : address({ mask: token, token, token2: null }),
        },
        masked
          ? "Stop masking"
          : ["Mask “", el("bdi", null, tfvis.tokenText(head, token)), "”"],
      );
    }

    /** What a control of the details is known by. @param {Element|null} control */
    const known = (control) =>
      control?.getAttribute("aria-label") ?? (control?.id || control?.textContent);

    /** Draws what is chosen; the focus stays where it was. */
    function draw() {
      const focused = document.activeElement;
      const name = details.contains(focused) ? known(focused) : null;
      drawDetails();
      if (!name) return;
      const again = details.querySelectorAll("a, button, input, summary");
      const twin = [...again].find((control) => known(control) === name);
      if (twin instanceof HTMLElement) twin.focus();
    }

    function drawDetails() {
      for (const close of closers) close();
      closers = [];
      const [one, two] = blocks.map((block) => block.sentence);
      if (!one?.head || one.layers.length === 0) {
        details.replaceChildren();
        return;
      }
      const i = layerShown(one);
      const asked = state.token ?? firstToken(one.head);
      const token = Math.min(asked, one.head.tokens.length - 1);
      blocks[0].grid?.select(token, i);
      /** @type {[Sentence, number][]} */
      const shown = [[one, token]];
      if (two?.head && two.layers.length > 0) {
        const other = partner(one.head, two.head, token);
        if (other !== null && other < two.head.tokens.length) {
          shown.push([two, other]);
          blocks[1].grid?.select(other, i);
        } else blocks[1].grid?.select(-1, -1);
      }
      /** @type {Child[]} */
      const panels = [];
      for (const [place, [sentence, chosen]] of shown.entries()) {
        const { head, layers } = sentence;
        const code = layers[i]?.tokens[chosen];
        if (!head || !code) continue;
        const there = shown[1 - place];
        const otherCode = there?.[0].layers[i]?.tokens[there[1]];
        const name = tfvis.tokenText(head, chosen);
        const where = place === 0 ? "" : ", second sentence";
        const masks = place === 0 ? maskAction(head, chosen) : null;
        const cell = tfvis.cellPanel({
          id: place,
          where,
          token: name,
          layer: head.layers[i],
          code,
          cut: state.k || CUT,
          pinned: state.lit,
          other: otherCode
            ? new Map(otherCode.factors.map(([factor, alpha]) => [factor, alpha ?? 0]))
            : null,
          otherName: otherCode
            ? state.mask !== null
              ? place === 0
                ? "α masked"
                : "α before"
              : place === 0
                ? "α in second"
                : "α in first"
            : null,
          action: masks,
          pin,
          light,
          setCut(k) {
            state = { ...state, k };
            route.note(address({}));
          },
        });
        const through = tfvis.alphasPanel({
          where,
          token: name,
          layers: head.layers.slice(0, layers.length),
          codes: layers.map((layer) => layer.tokens[chosen]),
          chosen: i,
          pinned: state.lit,
          light,
        });
        closers.push(through.close);
        panels.push(el("div", { class: "detail" }, cell, through.element));
      }
      details.className = shown.length > 1 ? "details two" : "details";
      details.replaceChildren(...panels.filter((p) => p instanceof Node));
      if (blocks.length > 1 && shown.length === 1 && two?.head) {
        details.append(
          el(
            "p",
            { class: "notice" },
            "No token of the second sentence stands for this one. Choose one in its grid to compare.",
          ),
        );
      }
    }

    /** Encodes what the address asks for. */
    function start() {
      for (const block of blocks) block.close();
      for (const close of closers) close();
      closers = [];
      details.replaceChildren();
      blocks = [];
      ask.show(state.text, state.with);
      const { text, mask } = state;
      /** @type {[Question, string][]} */
      const questions = text ? [[{ text, masked: [] }, text]] : [];
      if (text && state.with)
        questions.push([{ text: state.with, masked: [] }, state.with]);
      else if (text && mask !== null && live.live) {
        questions.push([{ text, masked: [mask] }, `${text} (one token masked)`]);
      }
      blocks = questions.map(([question, name], place) =>
        makeBlock(question, name, {
          choose: (token, i) =>
            route.go(
              address({
                [place === 0 || mask !== null ? "token" : "token2"]: token,
                ...(place === 0 ? { token2: null } : {}),
                layer: blocks[place].sentence?.head?.layers[i] ?? null,
              }),
            ),
          light,
          changed,
        }),
      );
      grids.replaceChildren(
        ...blocks.map((block, place) =>
          el(
            "section",
            { class: "panel", "aria-labelledby": `sentence-${place}` },
            el("h2", { id: `sentence-${place}` }, el("bdi", null, questions[place][1])),
            block.element,
          ),
        ),
      );
      note.hidden = blocks.length === 0;
      introduce();
      light(null);
      // One after the other: the server encodes one at a time anyway.
      (async () => {
        for (const block of blocks) await block.run();
      })();
    }

    function introduce() {
      const missing = blocks.some((block) => block.missing);
      for (const [place, block] of blocks.entries()) {
        const panel = grids.children[place];
        if (panel instanceof HTMLElement) panel.hidden = block.missing;
      }
      intro.replaceChildren();
      if (!live.live) intro.append(howToLive(live, missing));
      else if (!state.text) {
        intro.append(
          el("p", null, "Or open one of these:"),
          tfvis.exampleSentences(tfvis.examples),
        );
      }
      note.hidden = blocks.length === 0 || missing;
    }

    function changed() {
      draw();
      light(null);
      introduce();
    }

    const element = el(
      "article",
      { class: "sentence page" },
      el(
        "nav",
        { class: "trail", "aria-label": "Factors" },
        el("a", { href: list.address() }, "All factors"),
      ),
      el("h1", null, "A sentence in factors"),
      el(
        "p",
        { class: "lead muted" },
        "Every token, at every layer, is a sum of factors. Each cell says the words that fire the strongest factor of the token; the stronger its colour, the larger its share of the hidden state.",
      ),
      ask.element,
      intro,
      grids,
      note,
      details,
    );

    return {
      element,
      title: `A sentence in factors · ${tfvis.data.manifest.title}`,
      mounted: start,
      close() {
        for (const block of blocks) block.close();
        for (const close of closers) close();
      },
      update(next) {
        if (next.page !== "sentence") return false;
        const before = state;
        state = read(next.params);
        const same =
          before.text === state.text &&
          before.with === state.with &&
          before.mask === state.mask;
        if (same) changed();
        else start();
        return true;
      },
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
