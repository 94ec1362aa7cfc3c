/* Ratings: those of the run, those of opened files, and those of this browser alone. */
"use strict";
{
  const { data, memory, parts } = tfvis;
  const SCHEMA = "tfvis-ratings/1";
  const BANDS = ["top", "upper", "middle", "random", "decoy"];
  const SAYS = ["fits", "not", "skip"];
  /** Of the run. @type {Rating[]} */
  let stored = [];
  /** Not, or not yet, in the run. @type {Rating[]} */
  let local = [];
  /** @type {Promise<void>|null} */
  let opened = null;

  const key = () =>
    `tfvis.ratings.${data.manifest.dictionary_hash || data.manifest.title}`;

  /** @param {Rating} a @param {Rating} b */
  const same = (a, b) => a.factor === b.factor && a.layer === b.layer && a.by === b.by;

  /** @param {unknown} value @returns {value is Rating} */
  function isRating(value) {
    const { factor, layer, by, hypothesis, judged } = /** @type {Rating} */ (
      value ?? {}
    );
    return (
      Number.isInteger(factor) &&
      factor >= 0 &&
      factor < data.manifest.counts.factors &&
      data.manifest.layers.includes(layer) &&
      typeof by === "string" &&
      typeof hypothesis === "string" &&
      Array.isArray(judged) &&
      judged.every(
        (each) =>
          typeof each?.context === "string" &&
          BANDS.includes(each.band) &&
          SAYS.includes(each.says),
      )
    );
  }

  /** @param {string|null} text @returns {Rating[]} */
  function read(text) {
    const value = JSON.parse(text ?? "null");
    const { schema, dictionary_hash: hash, ratings: found } = value ?? {};
    if (schema !== SCHEMA || !Array.isArray(found) || !found.every(isRating)) {
      throw new Error(
        `Expected a file of ratings of this run (${SCHEMA}), got something else.`,
      );
    }
    const ours = data.manifest.dictionary_hash;
    if (ours && hash && hash !== ours) {
      throw new Error("These ratings belong to another dictionary.");
    }
    return found.map((each) => ({ ...each, changed: String(each.changed ?? "") }));
  }

  /** @param {Rating[]} ratings */
  const text = (ratings) =>
    JSON.stringify({
      schema: SCHEMA,
      dictionary_hash: data.manifest.dictionary_hash ?? "",
      ratings,
    });

  /** @param {Rating[]} next */
  function keep(next) {
    local = next;
    memory.set(key(), text(local));
  }

  const ratings = /** @type {Tfvis["ratings"]} */ ({
    editable: false,

    async open() {
      opened ??= (async () => {
        const found = /** @type {Ratings} */ (await tfvis.load("data/ratings"));
        ratings.editable = found.editable;
        stored = found.ratings;
        try {
          local = read(memory.get(key()) ?? text([]));
        } catch {
          // Of an older page, or not ours.
        }
      })();
      opened.catch(() => {
        opened = null;
      });
      await opened;
    },

    all() {
      const others = stored.filter((each) => !local.some((mine) => same(mine, each)));
      return [...others, ...local].sort(
        (a, b) => a.factor - b.factor || a.layer - b.layer || (a.by < b.by ? -1 : 1),
      );
    },

    find: (factor, layer, by) =>
      ratings
        .all()
        .find(
          (each) => each.factor === factor && each.layer === layer && each.by === by,
        ) ?? null,

    unsaved: (rating) => local.some((mine) => same(mine, rating)),

    put(rating) {
      keep([...local.filter((each) => !same(each, rating)), rating]);
    },

    async send(rating) {
      const answer = await tfvis.post("api/rating", rating);
      stored = /** @type {Ratings} */ (answer).ratings;
      keep(local.filter((each) => !same(each, rating)));
    },

    download() {
      const file = `${JSON.stringify(JSON.parse(text(ratings.all())), null, 1)}\n`;
      parts.save("ratings.json", new Blob([file], { type: "application/json" }));
    },

    async take(file) {
      /** @type {Rating[]} */
      let found = [];
      try {
        found = read(await file.text());
      } catch (error) {
        throw error instanceof SyntaxError
          ? new Error(`${file.name} is not JSON.`)
          : error;
      }
      const others = local.filter((each) => !found.some((one) => same(one, each)));
      keep([...others, ...found]);
      return found.length;
    },
  });
  tfvis.ratings = ratings;
}
