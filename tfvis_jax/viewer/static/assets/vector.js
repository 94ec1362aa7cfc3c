/* A drawing of the page as a file of its own: its colours and fonts are written into it,
   those of the light theme, so that it reads on white paper. */
"use strict";
{
  const { svg: draw } = tfvis.dom;
  const SVG = "http://www.w3.org/2000/svg";
  const FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif";
  /** Pixels of the picture for one of the drawing: sharp in print. */
  const SCALE = 3;
  const COLOURS = ["fill", "stroke"];
  const PROPERTIES = [
    ...["stroke-width", "stroke-dasharray", "stroke-linejoin", "paint-order"],
    ...["opacity", "font-size", "font-weight", "font-style", "text-anchor"],
  ];
  /** What is the same without being said. @type {{[name: string]: string}} */
  const INITIAL = {
    "stroke-width": "1px",
    "stroke-dasharray": "none",
    "stroke-linejoin": "miter",
    "paint-order": "normal",
    opacity: "1",
    "font-weight": "400",
    "font-style": "normal",
    "text-anchor": "start",
    fill: "#000000",
    stroke: "none",
  };
  const PAGE = /^(aria-|data-|class$|role$|style$|tabindex$)/;
  const ONLY_TEXT = /^(font-|text-|paint-)/;

  /** A colour that every program reads, and its opacity. @param {string} text */
  function colour(text) {
    const [r, g, b, a = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    if (!text.startsWith("rgb") || a === 0) return { hex: "none", alpha: 1 };
    const hex = [r, g, b].map((v) => Math.round(v).toString(16).padStart(2, "0"));
    return { hex: `#${hex.join("")}`, alpha: a };
  }

  /** The attributes that say the computed style of an element. @param {Element} node */
  function styled(node) {
    const text = node instanceof SVGTextElement;
    /** @type {[string, string|null][]} */
    const found = [];
    if (!text && !(node instanceof SVGGeometryElement)) return found;
    const style = getComputedStyle(node);
    for (const name of COLOURS) {
      const { hex, alpha } = colour(style.getPropertyValue(name));
      found.push([name, hex]);
      found.push([`${name}-opacity`, alpha < 1 ? alpha.toFixed(3) : null]);
    }
    for (const name of PROPERTIES) {
      if (text || !ONLY_TEXT.test(name)) {
        found.push([name, style.getPropertyValue(name)]);
      }
    }
    return found;
  }

  /** Leaves nothing that only the page understands. @param {Element} node @param {[string, string|null][]} style */
  function write(node, style) {
    for (const { name } of [...node.attributes]) {
      if (PAGE.test(name)) node.removeAttribute(name);
    }
    for (const [name, value] of style) {
      node.removeAttribute(name);
      if (value && value !== INITIAL[name]) node.setAttribute(name, value);
    }
  }

  /** @param {SVGElement} drawing @param {string} title @param {string} note */
  function standalone(drawing, title, note) {
    const copy = /** @type {SVGElement} */ (drawing.cloneNode(true));
    for (const node of copy.querySelectorAll(".target")) node.remove();
    const place = document.createElement("div");
    place.className = "on-white";
    place.append(copy);
    document.body.append(place);
    const nodes = [copy, ...copy.querySelectorAll("*")];
    // All before any: classes, which are then removed, style what is inside.
    const styles = nodes.map(styled);
    place.remove();
    for (const [i, node] of nodes.entries()) write(node, styles[i]);
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("font-family", FONT);
    copy.prepend(draw("title", null, title), draw("desc", null, note));
    return copy;
  }

  /** What XML cannot hold. */
  const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

  tfvis.vector = {
    /** The text of an SVG file. */
    text: (drawing, title, note) =>
      new XMLSerializer()
        .serializeToString(standalone(drawing, title, note))
        .replace(FORBIDDEN, "\ufffd"),

    /** A PNG file on white, drawn from the text of an SVG file. */
    async picture(text) {
      const image = new Image();
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth * SCALE;
      canvas.height = image.naturalHeight * SCALE;
      const pen = canvas.getContext("2d");
      if (!pen)
        throw new Error("This browser draws no pictures. Save the SVG instead.");
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      return new Promise((resolve, reject) =>
        canvas.toBlob((blob) =>
          blob ? resolve(blob) : reject(new Error("The picture is too large.")),
        ),
      );
    },
  };
}
