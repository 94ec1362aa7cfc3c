/* Drawings of what the page shows as text and tables, for files: examples, the grid of a
   sentence, the terms of a sum. */
"use strict";
{
  const { svg } = tfvis.dom;
  const { format, glyphs } = tfvis;
  const WIDTH = 720;
  /** Room for the name of a document beside an example. */
  const NAME = 170;
  /** Scripts that run from right to left. */
  const LEFTWARD = /^\P{L}*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;
  const ROW = 22;
  const SIZE = 12;
  const HEAD = 28;
  const pen = document.createElement("canvas").getContext("2d");

  /** Width of a text in the font of the drawings. @param {string} text @param {boolean} [bold] */
  function wide(text, bold = false) {
    if (!pen) return text.length * 7;
    pen.font = `${bold ? "bold " : ""}${SIZE}px Helvetica, Arial, "Liberation Sans", sans-serif`;
    return pen.measureText(text).width;
  }

  /**
   * As many characters as fit, of the end or the beginning, with dots for the rest.
   * @param {string} text @param {number} room @param {boolean} [end] @param {boolean} [bold]
   */
  function fit(text, room, end = false, bold = false) {
    const flat = text.replace(/\s+/g, " ");
    if (wide(flat, bold) <= room) return flat;
    const characters = Array.from(flat);
    let [low, high] = [0, characters.length];
    while (low < high) {
      const n = Math.ceil((low + high) / 2);
      const cut = end ? characters.slice(-n) : characters.slice(0, n);
      if (wide(`${cut.join("")}…`, bold) <= room) low = n;
      else high = n - 1;
    }
    if (low === 0) return "";
    return end
      ? `…${characters.slice(-low).join("")}`
      : `${characters.slice(0, low).join("")}…`;
  }

  /** The colour of an activation or a share on white. @param {number} share */
  function glow(share) {
    const part = Math.min(1, Math.max(0, share));
    const mixed = [230, 159, 0].map((v) => Math.round(255 + (v - 255) * part));
    return `rgb(${mixed.join(",")})`;
  }

  /** @param {number} x @param {number} y @param {string} words @param {Attributes} [more] */
  const text = (x, y, words, more = {}) =>
    svg(
      "text",
      { x: x.toFixed(1), y, "font-size": SIZE, fill: "#1c1b19", ...more },
      words,
    );
  const SOFT = { fill: "#625d54" };

  /** @param {number[]} size width and height @param {...Child} children */
  const sheet = ([width, height], ...children) =>
    svg(
      "svg",
      {
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        class: "sheet",
      },
      children,
    );

  /** 0 ▒ 100 % @param {number} y @param {string} least @param {string} most @param {string} what */
  function legend(y, least, most, what) {
    const steps = [0, 0.2, 0.4, 0.6, 0.8, 1];
    const left = wide(least) + 6;
    return [
      text(0, y, least, SOFT),
      steps.map((share, i) =>
        svg("rect", {
          x: left + i * 14,
          y: y - 10,
          width: 14,
          height: 11,
          fill: glow(share),
          stroke: "#cfc8bb",
        }),
      ),
      text(left + steps.length * 14 + 6, y, `${most}  ${what}`, SOFT),
    ];
  }

  /**
   * Text on one side of a word, beginning at `x` and going on by `way`, 1 or -1; words
   * on which the factor fires too are shaded.
   * @param {[string, number][]} pieces @param {number} x @param {number} way
   * @param {{y: number, room: number, largest: number, end: boolean, turned: boolean}} at
   */
  function side(pieces, x, way, { y, room, largest, end, turned }) {
    // As it is drawn: no two spaces, and none beside the word.
    let whole = "";
    const placed = pieces.map(([piece, activation]) => {
      const flat = /(^|\s)$/.test(whole) ? piece.trimStart() : piece;
      const from = whole.length;
      whole += flat;
      return { from, to: whole.length, activation };
    });
    whole = whole.trimEnd();
    const shown = fit(whole, room, end);
    const cut = shown.length - whole.length;
    const all = wide(shown);
    /** Distance from the word. @param {number} offset in `whole` */
    const far = (offset) => {
      const place = end ? Math.max(shown === whole ? 0 : 1, offset + cut) : offset;
      const width = wide(shown.slice(0, Math.min(place, shown.length)));
      return end ? all - width : width;
    };
    const shades = placed.flatMap(({ from, to, activation }) => {
      const [near, outer] = [far(from), far(Math.min(to, whole.length))].sort(
        (a, b) => a - b,
      );
      if (activation === 0 || outer - near < 1) return [];
      return svg("rect", {
        x: (way > 0 ? x + near : x - outer).toFixed(1),
        y: y - ROW + 3,
        width: (outer - near).toFixed(1),
        height: ROW - 5,
        rx: 2,
        fill: glow(tfvis.passage.strength(activation, largest)),
      });
    });
    const anchor = { "text-anchor": end ? "end" : "start" };
    return [
      shades,
      text(x, y - 6, shown, turned ? { ...anchor, direction: "rtl" } : anchor),
    ];
  }

  tfvis.draw = {
    fit,
    text,
    sheet,
    /** A drawing below a title. */
    headed(drawing, title) {
      const [, , width, height] = (drawing.getAttribute("viewBox") ?? "")
        .split(" ")
        .map(Number);
      drawing.setAttribute("viewBox", `0 ${-HEAD} ${width} ${height + HEAD}`);
      drawing.setAttribute("height", String(height + HEAD));
      const more = { class: "sheet-title", "font-weight": 700 };
      drawing.append(text(0, 15 - HEAD, fit(title, width, false, true), more));
      return drawing;
    },

    /** Examples aligned on their words, the strongest first, in named groups. */
    contexts(factor, groups, largest) {
      const LEFT = 60;
      const middle = LEFT + (WIDTH - LEFT) / 2;
      let y = 4;
      /** @type {Child[]} */
      const parts = [];
      for (const { name, entries } of groups) {
        if (name) {
          y += ROW;
          parts.push(text(0, y - 6, name, { "font-weight": 700 }));
        }
        for (const entry of entries) {
          const [place, alpha] = entry;
          const [before, word, after, title] = factor.texts[place];
          const [front, back] = tfvis.passage.pieces(factor.texts[place], entry);
          const turned = LEFTWARD.test(before + word + after);
          const way = turned ? -1 : 1;
          const marked = fit(word, (WIDTH - LEFT) / 2, false, true);
          const half = wide(marked, true) / 2 + 4;
          const room = (WIDTH - LEFT) / 2 - half - 4;
          const share = alpha && largest > 0 ? Math.max(0.1, alpha / largest) : 0;
          y += ROW;
          const at = { y, room, largest, turned };
          parts.push(
            text(LEFT - 12, y - 6, format.even(alpha), {
              "text-anchor": "end",
              ...SOFT,
            }),
            side(front, middle - way * (half + 4), -way, { ...at, end: true }),
            svg("rect", {
              x: (middle - half).toFixed(1),
              y: y - ROW + 3,
              width: (2 * half).toFixed(1),
              height: ROW - 5,
              rx: 3,
              fill: glow(share),
            }),
            text(middle, y - 6, marked, {
              "text-anchor": "middle",
              "font-weight": 700,
            }),
            side(back, middle + way * (half + 4), way, { ...at, end: false }),
            text(WIDTH + 14, y - 6, fit(title, NAME - 14), SOFT),
          );
        }
      }
      y += ROW + 4;
      parts.push(
        legend(
          y - 6,
          "0",
          format.even(largest),
          "activation, to this factor’s maximum",
        ),
      );
      return sheet([WIDTH + NAME, y + 4], parts);
    },

    /** Tokens × layers; each cell says the words of its strongest factor. */
    sentence({ head, layers }) {
      if (!head) return null;
      const left =
        16 + Math.min(120, Math.max(...head.tokens.map((t) => wide(t, true))));
      const column = (WIDTH - left) / Math.max(1, layers.length);
      const bottom = ROW + head.tokens.length * (ROW + 2);
      return sheet(
        [WIDTH, bottom + 26],
        layers.map(({ layer, tokens }, i) => [
          text(left + i * column + 5, 14, `Layer ${layer}`, SOFT),
          tokens.map(({ factors: [best] }, token) => {
            const y = ROW + token * (ROW + 2);
            const name = best ? glyphs.name(best[0]) : "–";
            return [
              svg("rect", {
                x: (left + i * column).toFixed(1),
                y,
                width: (column - 2).toFixed(1),
                height: ROW,
                rx: 4,
                fill: glow(best ? Math.max(0.06, best[2] ?? 0) : 0),
                stroke: "#e6e2da",
              }),
              text(left + i * column + 5, y + 15, fit(name, column - 12)),
            ];
          }),
        ]),
        head.tokens.map((_, token) =>
          text(
            0,
            ROW + token * (ROW + 2) + 15,
            fit(tfvis.tokenText(head, token), left - 12, false, true),
            { "font-weight": 700 },
          ),
        ),
        legend(
          bottom + 18,
          "0",
          "100 %",
          "share of the hidden state that the strongest factor explains",
        ),
      );
    },

    /** The strongest terms of a sum, as bars of α. */
    sum(title, code, k) {
      const kept = code.factors.slice(0, k);
      const most = format.largest(kept.map(([, alpha]) => alpha));
      const [from, room] = [300, WIDTH - 300 - 130];
      const height = ROW + (kept.length + 1) * ROW + 6;
      return sheet(
        [WIDTH, height],
        text(0, 15, fit(title, WIDTH, false, true), { "font-weight": 700 }),
        kept.map(([factor, alpha, share], i) => {
          const y = (i + 1) * ROW + 18;
          const bar = most > 0 ? ((alpha ?? 0) / most) * room : 0;
          return [
            text(0, y, `Φ${factor}`, SOFT),
            text(56, y, fit(glyphs.name(factor), from - 66)),
            svg("rect", {
              x: from,
              y: y - 12,
              width: bar.toFixed(1),
              height: 15,
              rx: 2,
              fill: "#a85400",
            }),
            text(
              from + bar + 8,
              y,
              `${format.even(alpha)}  (${format.percent(share)} of ‖x‖²)`,
            ),
          ];
        }),
        text(
          0,
          height - 8,
          `L0 ${code.l0}, residual ε ${format.percent(code.residual_share)} of ‖x‖²`,
          SOFT,
        ),
      );
    },
  };
}
