/* A sentence in factors: #/sentence?text=He+left.&with=…&token=1&layer=6&k=5&lit=406&steer=406 */
"use strict";
{
  const { el } = tfvis.dom;
  const { format, glyphs, route } = tfvis;
  const CUT = 6;
  /** Unknown tokens that are named. */
  const NAMED = 5;
  /** Factors to choose from: of a token, and of the one that it is compared with. */
  const [OWN, OTHERS] = [12, 4];
  /** Words of a sentence that name its files. */
  const FILED = 5;
  /** The part of a window in which the answer to a click is shown, at least. */
  const SEEN = 0.6;
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
      steer: whole(params.get("steer")),
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
    const unknown = el("p", { class: "notice unknown", hidden: true });
    let drawn = 0;

    /** @type {SentenceBlock} */
    const block = {
      element: el("div", { class: "sentence-block" }, failure, unknown, place, status),
      sentence: null,
      grid: null,
      missing: false,
      run,
      close: () => stop.abort(),
    };

    /** Names the tokens that all look alike to the model. @param {SentenceHead} head */
    function sayUnknown({ tokens, pieces, unknown: places = [] }) {
      unknown.hidden = places.length === 0;
      const named = places.slice(0, NAMED).map((token) => tokens[token]);
      unknown.replaceChildren(
        `${places.length} of ${tokens.length} tokens ${places.length === 1 ? "is" : "are"} unknown to the model’s vocabulary; the model sees ${pieces[places[0]]} in ${places.length === 1 ? "its" : "their"} place, whatever ${places.length === 1 ? "it says" : "they say"}: `,
        ...named.flatMap((text, i) => [i > 0 ? ", " : "", el("bdi", null, text)]),
        places.length > NAMED ? ", …" : ".",
      );
    }

    /** @param {Sentence} sentence */
    function grown(sentence) {
      const { head, layers } = sentence;
      if (!head) return;
      block.sentence = sentence;
      if (!block.grid) {
        block.grid = tfvis.sentenceGrid(head, name, act.choose, act.light);
        place.replaceChildren(block.grid.element);
        sayUnknown(head);
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
      unknown.hidden = true;
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
          el("p", { class: "notice", role: "alert" }, tfvis.parts.why(error)),
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

  /** The sentence to take away. @param {SentenceBlock} block @param {string} name */
  function takeSentence(block, name) {
    function whole() {
      const { sentence } = block;
      if (!sentence?.head) throw new Error("The sentence is not yet encoded.");
      return { ...sentence, head: sentence.head };
    }
    return tfvis.take({
      title: `“${name}”`,
      name: () => ["sentence", name],
      parts: [
        {
          label: "Grid",
          svg: () => tfvis.draw.sentence(whole()),
          table: () => {
            const { head, layers } = whole();
            return {
              columns: [
                ...["token", "text", "layer", "rank", "factor", "name"],
                ...["activation", "share of |x|^2"],
              ],
              rows: head.tokens.flatMap((_, token) =>
                layers.flatMap(({ layer, tokens }) =>
                  tokens[token].factors.map(([factor, alpha, share], rank) => [
                    ...[token, tfvis.tokenText(head, token), layer, rank + 1, factor],
                    ...[glyphs.name(factor), alpha, share],
                  ]),
                ),
              ),
            };
          },
        },
      ],
      json: whole,
    });
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
        tfvis.howToView(),
        ", and open the address that it prints.",
      ),
      live.recorded.length > 0 && [
        el("p", null, "Recorded sentences:"),
        tfvis.exampleSentences(tfvis.recordedExamples()),
      ],
    );
  }

  /** Scrolls until a part of the page is seen, and no further. @param {Element|null|undefined} part */
  function reveal(part) {
    if (!part) return;
    const { top, height } = part.getBoundingClientRect();
    const room = Math.min(height, innerHeight * SEEN) + 12;
    const below = top + room - innerHeight;
    // Of the page, the header covers so much.
    const { scrollPaddingTop } = getComputedStyle(document.documentElement);
    const head = Number.parseFloat(scrollPaddingTop) || 12;
    const by = top < head ? top - head : Math.max(0, below);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (by) scrollBy({ top: by, behavior: still ? "instant" : "smooth" });
  }

  tfvis.pages.sentence = async (at, list) => {
    const { live } = tfvis.data;
    let state = read(at.params);
    /** @type {SentenceBlock[]} */
    let blocks = [];
    /** @type {(() => void)[]} */
    let closers = [];
    const ask = tfvis.ask({ id: "page", label: "Your sentence", compare: true });
    if (!live.live) ask.disable();
    const intro = el("div", { class: "intro" });
    const hint = el(
      "p",
      { class: "hint muted" },
      "Click a cell to see below what the token is made of at that layer. Point at one to see where its strongest factor fires.",
    );
    const lit = el("span");
    const letGo = tfvis.parts.button(
      "Stop keeping it lit",
      () => pin(state.lit ?? -1),
      {
        class: "quiet",
      },
    );
    const note = el("p", { class: "lit-note muted" }, lit, letGo);
    const grids = el("div");
    const details = el("div", { class: "details" });
    if (live.live) await tfvis.need("lime");
    const lime = live.live ? tfvis.limePanel() : null;
    const below = el("div");
    /** Once it was asked for. @type {CellPanel|null} */
    let steer = null;
    /** All factors of a comparison, not the first alone. */
    let allFactors = false;
    /** What the next drawing is to bring into view. @type {"details"|"steer"|null} */
    let wanted = null;
    /** The token of the first sentence that is shown. @type {Value} */
    let drawn = null;

    /** The address of a state, its parts changed. @param {Partial<SentenceState>} part */
    const address = (part) => route.sentence({ ...state, ...part });

    /** @param {Value} factor */
    function light(factor) {
      const kept = state.lit !== null;
      const shown = state.lit ?? factor;
      const there = blocks.flatMap(({ grid }) => grid ?? []);
      const most = shown === null ? 0 : Math.max(...there.map((g) => g.peak(shown)));
      const total = there
        .map((grid) => grid.light(shown, most, kept))
        .reduce((a, b) => a + b, 0);
      lit.textContent =
        shown === null
          ? ""
          : `Φ${shown} ${glyphs.name(shown)}: fires in ${total} ${total === 1 ? "cell, which shows" : "cells, which show"} its α`;
      letGo.hidden = !kept;
    }

    /** Goes to an address, and shows there what it is about. @param {"details"|"steer"} part @param {string} target */
    function goAndShow(part, target) {
      const before = location.hash;
      wanted = part;
      route.go(target);
      // Nothing else hears of a choice that is made already.
      if (location.hash === before) showWanted();
    }

    function showWanted() {
      if (wanted === "steer") reveal(steer?.element);
      else if (wanted) reveal(details.firstElementChild);
      wanted = null;
    }

    /** @param {number} factor */
    const pin = (factor) =>
      route.go(address({ lit: state.lit === factor ? null : factor }));

    /** For each token of a sentence its place in the other, or null. @param {SentenceHead} one @param {SentenceHead} two */
    function partners(one, two) {
      const [a, b] = [one, two].map((head) =>
        head.tokens.map((text) => text.toLowerCase()),
      );
      return tfvis.align(a, b);
    }

    /** The token shown, and the position of its layer. @param {Sentence} one @param {SentenceHead} head @param {Sentence|null|undefined} two */
    function chosenCell(one, head, two) {
      const asked = head.layers.indexOf(state.layer ?? -1);
      const i = asked >= 0 ? asked : one.layers.length - 1;
      const token = Math.min(state.token ?? firstToken(head), head.tokens.length - 1);
      const open = state.token === null || asked < 0;
      // The largest difference is known once both are whole.
      const whole = [one, two].every((s) => s?.layers.length === head.layers.length);
      if (!open || !state.with || !whole || !two?.head) return [token, i];
      const pairs = partners(head, two.head);
      const there = (state.token2 ?? Infinity) < two.head.tokens.length;
      return (
        tfvis.pair.open(
          one,
          two,
          there ? pairs.map(() => state.token2) : pairs,
          state.token === null ? null : token,
          asked < 0 ? null : asked,
        ) ?? [token, i]
      );
    }

    /** The token shown of the second sentence. @param {SentenceHead} one @param {SentenceHead} two @param {number} token */
    function partner(one, two, token) {
      if (state.mask !== null) return token;
      if (state.token2 !== null && state.token2 < two.tokens.length)
        return state.token2;
      return partners(one, two)[token];
    }

    /** What the sentences are called. @returns {string[]} */
    const names = () =>
      state.with
        ? [state.text, state.with]
        : [state.text, `${state.text} (one token masked)`];

    /** The first words of a sentence, for the names of its files. @param {number} at */
    function file(at) {
      const [one, two] = [state.text, state.with || state.text].map((text) =>
        text.trim().split(/\s+/).slice(0, FILED).join(" ").slice(0, 40),
      );
      if (at === 0) return one;
      return one === two ? `${two} ${state.with ? "second" : "masked"}` : two;
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

    /** Opens the panel that steers. @param {number|undefined} factor */
    function steerAction(factor) {
      if (factor === undefined || !live.live) return null;
      const target = address({ steer: state.steer ?? factor });
      return el(
        "a",
        {
          class: "button steer-open",
          href: target,
          on: {
            click(event) {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              goAndShow("steer", target);
            },
          },
        },
        "Remove or add a factor…",
      );
    }

    function closeSteer() {
      route.go(address({ steer: null }));
      // The button that was pressed is gone.
      const opener = details.querySelector(".steer-open") ?? details.querySelector("a");
      if (opener instanceof HTMLElement) opener.focus();
    }

    /** @param {Cell|null} cell */
    async function showSteer(cell) {
      try {
        if (cell) await tfvis.need("steer");
        if (cell && !steer) {
          steer = tfvis.steerPanel((factor) => {
            state = { ...state, steer: factor };
            route.note(address({}));
          }, closeSteer);
          below.replaceChildren(steer.element);
        }
        steer?.show(cell);
        if (cell && wanted === "steer") showWanted();
      } catch (error) {
        below.replaceChildren(el("p", { class: "notice" }, tfvis.parts.why(error)));
      }
    }

    /** A cell to ask about; at last the factors of another that it does not have. @param {Sentence} sentence @param {number} token @param {number} i @param {TokenCode} [other] @returns {Cell|null} */
    function cellOf(sentence, token, i, other) {
      const { head, layers } = sentence;
      const code = layers[i]?.tokens[token];
      if (!head || !code) return null;
      const here = new Set(code.factors.map(([factor]) => factor));
      const more = other?.factors.filter(([factor]) => !here.has(factor)) ?? [];
      return {
        head,
        token,
        layer: head.layers[i],
        factors: [...code.factors.slice(0, OWN), ...more.slice(0, OTHERS)],
        chosen: state.steer,
        of: blocks.length > 1 ? names()[Number(sentence !== blocks[0].sentence)] : null,
      };
    }

    /** All factors of the word of a token. @param {SentenceHead} head @param {number} token */
    function wordLink(head, token) {
      if (!tfvis.words.any()) return null;
      const word = head.tokens
        .filter((_, i) => head.words[i] === head.words[token])
        .join("");
      return el("a", { href: route.word(word) }, "All its factors");
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
        lime?.show(null);
        showSteer(null);
        return;
      }
      const [token, i] = chosenCell(one, one.head, two);
      drawn = token;
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
      /** @type {PairCell[]} */
      const compared = [];
      /** @type {HTMLElement[]} */
      const panels = [];
      for (const [place, [sentence, chosen]] of shown.entries()) {
        const { head, layers } = sentence;
        const code = layers[i]?.tokens[chosen];
        if (!head || !code) continue;
        const there = shown[1 - place];
        const otherCode = there?.[0].layers[i]?.tokens[there[1]];
        const name = tfvis.tokenText(head, chosen);
        const sides =
          state.mask !== null
            ? ["unmasked", "masked"]
            : ["first sentence", "second sentence"];
        const where = blocks.length > 1 ? `, ${sides[place]}` : "";
        const of = names()[place];
        compared.push({ token: name, of, code });
        const actions = [
          wordLink(head, chosen),
          place === 0 ? maskAction(head, chosen) : null,
          place === 0 ? steerAction(code.factors[0]?.[0]) : null,
        ];
        const cell = tfvis.cellPanel({
          id: place,
          where,
          of,
          file: file(place),
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
          action: el("span", { class: "actions" }, actions),
          pin,
          light,
          setCut(k) {
            state = { ...state, k };
            route.note(address({}));
          },
        });
        const through = tfvis.alphasPanel({
          where,
          of,
          file: file(place),
          token: name,
          layers: head.layers.slice(0, layers.length),
          codes: layers.map((layer) => layer.tokens[chosen]),
          others: there?.[0].layers.map((layer) => layer.tokens[there[1]]),
          chosen: i,
          pinned: state.lit,
          light,
        });
        closers.push(through.close);
        panels.push(el("div", { class: "detail" }, cell, through.element));
      }
      lime?.show(cellOf(one, token, i));
      // What is masked is steered as the model sees it.
      const [first, second] = shown;
      const [whole, place] = state.mask !== null && second ? second : first;
      const there = (whole === one ? second : first) ?? null;
      const otherCode = there?.[0].layers[i]?.tokens[there[1]];
      showSteer(state.steer === null ? null : cellOf(whole, place, i, otherCode));
      details.className = shown.length > 1 ? "details two" : "details";
      details.replaceChildren(...panels);
      if (compared.length > 1) {
        details.prepend(
          tfvis.pair.panel({
            cells: compared,
            layer: one.head.layers[i],
            sides:
              state.mask !== null ? ["before", "masked"] : ["in first", "in second"],
            file: ["difference", file(0), file(1), `layer-${one.head.layers[i]}`],
            light,
            all: allFactors,
            setAll(all) {
              allFactors = all;
            },
          }),
        );
      }
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
      const [first, second] = names();
      /** @type {[Question, string][]} */
      const questions = text ? [[{ text, masked: [] }, first]] : [];
      if (text && state.with)
        questions.push([{ text: state.with, masked: [] }, second]);
      else if (text && mask !== null && live.live) {
        questions.push([{ text, masked: [mask] }, second]);
      }
      blocks = questions.map(([question, name], place) =>
        makeBlock(question, name, {
          choose: (token, i) =>
            goAndShow(
              "details",
              address({
                ...(place === 0
                  ? { token, token2: null }
                  : mask === null
                    ? { token: drawn, token2: token }
                    : { token }),
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
            el(
              "div",
              { class: "panel-head" },
              el(
                "h2",
                { id: `sentence-${place}` },
                el("bdi", null, questions[place][1]),
              ),
              takeSentence(block, questions[place][1]),
            ),
            block.element,
          ),
        ),
      );
      introduce();
      light(null);
      encode(blocks);
    }

    /** One after the other: the server encodes one at a time anyway. @param {SentenceBlock[]} mine */
    async function encode(mine) {
      try {
        if (mine.length > 1) await tfvis.need("pair");
      } catch (error) {
        details.replaceChildren(el("p", { class: "notice" }, tfvis.parts.why(error)));
        return;
      }
      for (const block of mine) if (mine === blocks) await block.run();
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
      for (const line of [hint, note]) line.hidden = blocks.length === 0 || missing;
    }

    function changed() {
      draw();
      light(null);
      introduce();
    }

    const element = el(
      "article",
      { class: "sentence page" },
      tfvis.parts.trail(list),
      el("h1", null, "A sentence in factors"),
      el(
        "p",
        { class: "lead muted" },
        "Every token, at every layer, is a sum of factors. Each cell says the words that fire the strongest factor of the token; the stronger its colour, the larger its share of the hidden state.",
      ),
      ask.element,
      intro,
      hint,
      note,
      grids,
      details,
      below,
      lime?.element,
    );

    return {
      element,
      title: `A sentence in factors · ${tfvis.data.manifest.title}`,
      mounted: start,
      close() {
        lime?.close();
        steer?.close();
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
        if (same) {
          changed();
          if (wanted !== "steer" || steer) showWanted();
        } else {
          wanted = null;
          allFactors = false;
          start();
        }
        return true;
      },
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
