/* A long list of which only the rows in view exist. */
"use strict";
{
  const BEYOND = 8;

  /** Scrolls with the window; rows have one height, the CSS property --row in pixels. */
  tfvis.rows = (box, render) => {
    /** @type {number[]} */
    let items = [];
    /** @type {Map<number, HTMLElement>} by place */
    let shown = new Map();
    let height = 0;
    let waiting = 0;

    function draw() {
      waiting = 0;
      if (!box.isConnected || box.offsetParent === null) return;
      const top = -box.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / height) - BEYOND);
      // Never none, even far below the view: a table without rows is no table.
      const last = Math.min(
        items.length,
        Math.max(1, Math.ceil((top + window.innerHeight) / height)) + BEYOND,
      );
      for (const [place, row] of shown) {
        if (place < first || place >= last) {
          row.remove();
          shown.delete(place);
        }
      }
      // From the end, so that each new row finds the one that follows it: the order
      // of the document is then the order of the list, for Tab and screen readers.
      /** @type {HTMLElement|null} */
      let next = null;
      for (let place = last - 1; place >= first; place -= 1) {
        let row = shown.get(place);
        if (!row) {
          row = render(items[place], place);
          row.style.setProperty("--top", `${place * height}px`);
          box.insertBefore(row, next);
          shown.set(place, row);
        }
        next = row;
      }
    }

    function plan() {
      if (!waiting) waiting = requestAnimationFrame(draw);
    }

    function measure() {
      const now = parseFloat(getComputedStyle(box).getPropertyValue("--row"));
      if (now !== height) {
        height = now;
        refresh();
      }
      plan();
    }

    function refresh() {
      box.replaceChildren();
      shown = new Map();
      box.style.setProperty("--height", `${items.length * height}px`);
      draw();
    }

    window.addEventListener("scroll", plan, { passive: true });
    window.addEventListener("resize", measure);
    return {
      show(chosen) {
        items = chosen;
        height = parseFloat(getComputedStyle(box).getPropertyValue("--row"));
        refresh();
      },
      draw,
    };
  };
}
