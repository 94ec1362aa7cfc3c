/* The address: #/, #/factor/13?layer=4, #/compare?f=13,406, #/word/left, #/sentence?text=He+left, #/about/fvu, #/run and #/runs?show=same. It holds the whole state of a page. */
"use strict";
{
  /** @param {string} path @param {Params} [params] */
  function hash(path, params = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
      if (value !== null && value !== undefined && value !== "") {
        query.set(name, String(value));
      }
    }
    const text = query.toString();
    return `#${path}${text && "?"}${text}`;
  }

  tfvis.route = {
    current() {
      const [path, query] = location.hash.replace(/^#/, "").split("?");
      const [, page = "", ...rest] = path.split("/");
      return { page, number: rest.join("/"), params: new URLSearchParams(query || "") };
    },

    list: (params) => hash("/", params),

    factor: (factor, params) => hash(`/factor/${factor}`, params),

    word: (word, params) => hash(`/word/${encodeURIComponent(word)}`, params),
    compare: (params) => hash("/compare", params),

    rate: (factor, params) =>
      hash(factor === null ? "/rate" : `/rate/${factor}`, params),
    levels: (params) => hash("/levels", params),
    sentence: (params) => hash("/sentence", params),
    about: (term = "") => hash(`/about/${term}`),
    run: () => hash("/run"),
    runs: (params) => hash("/runs", params),

    /** Goes to an address; Back returns. */
    go(target) {
      location.hash = target;
    },

    /** Changes the address without a new entry in the history. */
    note(target) {
      history.replaceState(history.state, "", target);
    },
  };
}
