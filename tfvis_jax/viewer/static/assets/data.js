/* The data of the run: what is loaded, and simple questions to it. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const SCHEMA = "tfvis-site/1";
  const KEPT_SHARDS = 12;
  /** @type {Map<number, Promise<{factors: Factor[]}>>} least recently used first */
  const shards = new Map();
  /** @type {Map<number, string>|null} */
  let labels = null;

  const data = {
    /** @type {Manifest} */ manifest: null,
    /** @type {Index} */ index: null,

    /** Loads what every page needs. */
    async open() {
      const manifest = await tfvis.load("data/manifest");
      if (manifest.schema.split(".")[0] !== SCHEMA) {
        throw new Error(
          `This page reads ${SCHEMA}, but the data is ${manifest.schema}. Export it anew.`,
        );
      }
      data.manifest = manifest;
      data.index = await tfvis.load("data/index");
    },

    /**
     * @param {number} factor
     * @returns {Promise<Factor>}
     */
    async factor(factor) {
      const size = data.manifest.shard_size;
      const number = Math.floor(factor / size);
      let shard = shards.get(number);
      shards.delete(number);
      if (!shard) {
        shard = tfvis.load(`data/factors/${String(number).padStart(5, "0")}`);
        shard.catch(() => shards.delete(number));
      }
      shards.set(number, shard);
      if (shards.size > KEPT_SHARDS) shards.delete(shards.keys().next().value);
      return (await shard).factors[factor % size];
    },

    /** @param {number} factor */
    isDead: (factor) => data.index.peak[factor] === null,

    /** @param {number} factor */
    level: (factor) => data.manifest.level_names[data.index.levels[factor]],

    /** @param {number} factor @returns {(number|null)[]} per layer */
    importance: (factor) => data.index.importance.map((layer) => layer[factor]),

    /** What somebody calls it; any text, null if nobody does. @param {number} factor */
    label(factor) {
      labels = labels || new Map(data.index.labels);
      return labels.get(factor) ?? null;
    },

    /** @param {number} factor @returns {[string, number][]} */
    words: (factor) =>
      data.index.words[factor].map(([place, n]) => [data.index.vocabulary[place], n]),
  };
  tfvis.data = data;
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
