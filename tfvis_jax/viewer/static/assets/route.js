/* The address: #/ and #/factor/13?layer=4. It holds the whole state of a page. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  function hash(path, params) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params || {})) {
      if (value !== null && value !== undefined && value !== "") query.set(name, value);
    }
    const text = query.toString();
    return `#${path}${text ? `?${text}` : ""}`;
  }

  tfvis.route = {
    /** @returns {Route} */
    current() {
      const [path, query] = location.hash.replace(/^#/, "").split("?");
      const [, page = "", number = ""] = path.split("/");
      return { page, number, params: new URLSearchParams(query || "") };
    },

    /** @param {Object<string, any>} [params] */
    list: (params) => hash("/", params),

    /** @param {number} factor @param {Object<string, any>} [params] */
    factor: (factor, params) => hash(`/factor/${factor}`, params),

    /** Goes there; Back returns. @param {string} target */
    go(target) {
      location.hash = target;
    },

    /** Notes the state without a new entry in the history. @param {string} target */
    note(target) {
      history.replaceState(history.state, "", target);
    },
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
