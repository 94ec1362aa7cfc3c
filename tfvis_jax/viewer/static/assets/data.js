/* The data of the run: what is loaded, and simple questions to it. */
"use strict";
{
  const SCHEMA = "tfvis-site/1";
  const KEPT_SHARDS = 12;
  /** @type {Map<number, Promise<Shard>>} least recently used first */
  const shards = new Map();
  /** @type {Map<number, string>|null} */
  let labels = null;

  /** @param {number} number @returns {Promise<Shard>} */
  async function load(number) {
    const name = `data/factors/${String(number).padStart(5, "0")}`;
    return /** @type {Shard} */ (await tfvis.load(name));
  }

  const data = /** @type {Tfvis["data"]} */ ({
    /** Loads what every page needs. */
    async open() {
      const manifest = /** @type {Manifest} */ (await tfvis.load("data/manifest"));
      if (manifest.schema.split(".")[0] !== SCHEMA) {
        throw new Error(
          `Expected data of format ${SCHEMA}, got ${manifest.schema}. Export the site again with tfvis export.`,
        );
      }
      data.manifest = manifest;
      data.index = /** @type {Index} */ (await tfvis.load("data/index"));
    },

    async factor(factor) {
      const size = data.manifest.shard_size;
      const number = Math.floor(factor / size);
      let shard = shards.get(number);
      shards.delete(number);
      if (!shard) {
        shard = load(number);
        shard.catch(() => shards.delete(number));
      }
      shards.set(number, shard);
      if (shards.size > KEPT_SHARDS) {
        const [oldest] = shards.keys();
        shards.delete(oldest);
      }
      return (await shard).factors[factor % size];
    },

    async window(number) {
      const shard = Math.floor(number / data.manifest.window_shard);
      const name = `data/windows/${String(shard).padStart(5, "0")}`;
      const { windows } = /** @type {{windows: [number, string][]}} */ (
        await tfvis.load(name)
      );
      const found = windows.find(([each]) => each === number);
      if (!found) throw new Error(`Expected passage ${number} in ${name}.js.`);
      return found[1];
    },

    levelNote(factor) {
      const scores = data.index.level_scores;
      if (data.level(factor) === "unclear") return null;
      return scores.length ? tfvis.format.even(scores[factor]) : "guess";
    },

    isDead: (factor) => data.index.peak[factor] === null,

    level: (factor) => data.manifest.level_names[data.index.levels[factor]],

    /** Per layer. */
    importance: (factor) => data.index.importance.map((layer) => layer[factor]),

    /** User-supplied; any text, null if there is none. */
    label(factor) {
      labels ??= new Map(data.index.labels);
      return labels.get(factor) ?? null;
    },

    words: (factor) =>
      data.index.words[factor].map(([place, n]) => [data.index.vocabulary[place], n]),
  });
  tfvis.data = data;
}
