/* The address: #/, #/factor/13?layer=4 and #/sentence?text=He+left. It holds the whole state of a page. */
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
    return `#${path}${text ? `?${text}` : ""}`;
  }

  tfvis.route = {
    current() {
      const [path, query] = location.hash.replace(/^#/, "").split("?");
      const [, page = "", number = ""] = path.split("/");
      return { page, number, params: new URLSearchParams(query || "") };
    },

    list: (params) => hash("/", params),

    factor: (factor, params) => hash(`/factor/${factor}`, params),

    sentence: (params) => hash("/sentence", params),

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
