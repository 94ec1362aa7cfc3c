/* What a factor does to a sentence: it is taken out or added, and the model runs on. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format, parts } = tfvis;
  const ALL = "all";

  /** @param {string} id @param {string} label @param {[string, string][]} options @returns {[HTMLElement, HTMLSelectElement]} */
  function choice(id, label, options) {
    /** @type {HTMLSelectElement} */
    const select = el(
      "select",
      { id },
      options.map(([value, text]) => el("option", { value }, text)),
    );
    return [el("label", { for: id }, label), select];
  }

  /** The effect at a token, or on the embedding: of the factor, and of the others. @param {Steered} found @param {number} place */
  const effects = ({ effect, controls }, place) => ({
    own: effect[place] ?? 0,
    others: controls.map((row) => row[place] ?? 0),
  });

  /** @param {number[]} others */
  function spread(others) {
    if (others.length === 0) return "–";
    const mean = others.reduce((a, b) => a + b, 0) / others.length;
    return `${format.number(mean)} (${format.number(Math.min(...others))} to ${format.number(Math.max(...others))})`;
  }

  /** How the change compares with those of other factors. @param {Cell} view @param {Steered} found */
  function said({ head, token }, found) {
    const { own, others } = effects(found, found.objective ? token : 0);
    const less = others.filter((other) => other < own).length;
    const beside =
      others.length === 0
        ? ""
        : ` ${others.length} other factors, drawn at random and moved as far: ${spread(others)}. This factor changes more than ${less} of them.`;
    const size = format.percent(found.relative_size[token]);
    return found.objective
      ? `The prediction at “${tfvis.tokenText(head, token)}” moves by ${format.number(own)} nats (KL); its hidden state was moved by ${size}.${beside}`
      : `The sentence’s embedding moves by ${format.number(own)} (1 − cosine with what it was); the hidden state of “${tfvis.tokenText(head, token)}” was moved by ${size}.${beside} The model has no head that predicts words.`;
  }

  /** @param {[string, Value]|undefined} word */
  const cells = (word) =>
    word ? [el("bdi", null, word[0]), format.percent(word[1])] : ["", ""];

  /** @param {Cell} view @param {Steered} found */
  function drawn({ head, token }, found) {
    if (!found.objective) return [];
    const next = found.objective === "causal_lm";
    const before = found.before[token];
    const words = next ? "Next word" : "Word";
    return [
      parts.table(
        [`${words} before`, "", "After", ""],
        before.map((word, rank) => [
          ...cells(word),
          ...cells(found.after[token][rank]),
        ]),
      ),
      !next &&
        !head.masked?.includes(token) &&
        el(
          "p",
          { class: "muted" },
          "The model sees the token itself here. Mask it to see what it puts in its place.",
        ),
      parts.folded(
        "Predictions at all tokens",
        "All tokens",
        parts.table(
          [
            "token",
            `${words.toLowerCase()} before`,
            "after",
            "KL, nats",
            "other factors",
          ],
          head.tokens.map((_, place) => {
            const { own, others } = effects(found, place);
            return [
              el("bdi", null, tfvis.tokenText(head, place)),
              cells(found.before[place][0])[0],
              cells(found.after[place][0])[0],
              format.number(own),
              spread(others),
            ];
          }),
        ),
      ),
    ].filter((node) => node instanceof Node);
  }

  tfvis.steerPanel = (chosen, close) => {
    const [changeLabel, change] = choice("steer-change", "Change", [
      ["out", "take it out"],
      ["add", "add"],
    ]);
    const [whereLabel, where] = choice("steer-where", "at", [
      ["one", "this token"],
      [ALL, "all tokens"],
    ]);
    /** @type {HTMLInputElement} */
    const amount = el("input", {
      type: "number",
      step: "any",
      "aria-label": "Amount added to α",
    });
    const command = el("code");
    const adds = () => change.value !== "out";
    let last = -1;
    return tfvis.inquiry({
      id: "steer",
      title: "What a factor does at",
      about:
        "Takes the factor out of the hidden states of this layer, or adds it, and lets the layers above run on.",
      fields: [changeLabel, change, amount, whereLabel, where],
      below: el(
        "p",
        { class: "muted inquiry-about" },
        tfvis.data.live.live
          ? "The same in a terminal: "
          : "These files hold no model. With the folder of the run in place of RUN, type ",
        command,
      ),
      verb: "Run on",
      close,
      path: "api/steer",
      changed({ head, token, layer, factors }, factor) {
        chosen(factor);
        if (factor !== last) {
          last = factor;
          const alpha = factors.find(([other]) => other === factor)?.[1];
          amount.value = String(alpha ?? 1);
        }
        amount.hidden = !adds();
        command.textContent = [
          `tfvis steer RUN --factor=${factor} --layer=${layer}`,
          adds() ? `--by=${amount.value}` : "--ablate",
          where.value !== ALL && `--tokens=${token}`,
          head.masked?.length && `--mask=${head.masked}`,
          head.text.startsWith("-") && "--",
          tfvis.quoted(head.text),
        ]
          .filter((part) => part)
          .join(" ");
      },
      question: ({ head, token, layer }, factor) => ({
        text: head.text,
        layer,
        factor,
        masked: head.masked ?? [],
        by: adds() ? Number(amount.value) : null,
        token: where.value === ALL ? null : token,
      }),
      said,
      drawn,
    });
  };
}
