/* Making elements. Text only ever enters as text, never as markup. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") {
        for (const [event, listener] of Object.entries(value)) {
          node.addEventListener(event, listener);
        }
      } else if (name === "style") {
        for (const [property, entry] of Object.entries(value)) {
          node.style.setProperty(property, entry);
        }
      } else {
        node.setAttribute(name, value === true ? "" : String(value));
      }
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
    return node;
  }

  tfvis.dom = {
    /**
     * @param {string} tag @param {Attributes} [attributes] @param {...Child} children
     * @returns {HTMLElement}
     */
    el: (tag, attributes, ...children) =>
      fill(document.createElement(tag), attributes, children),

    /**
     * @param {string} tag @param {Attributes} [attributes] @param {...Child} children
     * @returns {SVGElement}
     */
    svg: (tag, attributes, ...children) =>
      fill(document.createElementNS(SVG, tag), attributes, children),
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
