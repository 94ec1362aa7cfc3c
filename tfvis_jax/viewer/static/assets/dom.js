/* Elements: making and finding them. Text only ever enters as text, never as markup. */
"use strict";
{
  const SVG = "http://www.w3.org/2000/svg";

  /**
   * @template {HTMLElement|SVGElement} Kind
   * @param {Kind} node @param {Attributes|null|undefined} attributes
   * @param {Child[]} children
   */
  function fill(node, attributes, children) {
    const { on = {}, style = {}, ...rest } = attributes || {};
    for (const [event, listener] of Object.entries(on)) {
      node.addEventListener(event, /** @type {EventListener} */ (listener));
    }
    for (const [property, entry] of Object.entries(style)) {
      node.style.setProperty(property, String(entry));
    }
    for (const [name, value] of Object.entries(rest)) {
      if (value === null || value === undefined || value === false) continue;
      node.setAttribute(name, value === true ? "" : String(value));
    }
    append(node, children);
    return node;
  }

  /** @param {Element} node @param {Child[]} children */
  function append(node, children) {
    for (const child of children) {
      if (child === null || child === undefined || child === false) continue;
      if (Array.isArray(child)) append(node, child);
      else node.append(child instanceof Node ? child : String(child));
    }
  }

  tfvis.dom = {
    el: (tag, attributes, ...children) =>
      fill(document.createElement(tag), attributes, children),

    svg: (tag, attributes, ...children) =>
      fill(document.createElementNS(SVG, tag), attributes, children),

    /** The element of index.html with an id. */
    find(id, kind) {
      const node = document.getElementById(id);
      if (node instanceof kind) return node;
      throw new Error(`Expected a ${kind.name} with id "${id}" in index.html.`);
    },
  };
}
