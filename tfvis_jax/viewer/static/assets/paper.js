/* Drawings fill the width of their panel; on paper, that of a sheet. */
"use strict";

/** Draws at one width while the page is printed, and again after; returns how to stop. */
tfvis.paper = (width, draw) => {
  const before = () => draw(width);
  const after = () => draw();
  window.addEventListener("beforeprint", before);
  window.addEventListener("afterprint", after);
  return () => {
    window.removeEventListener("beforeprint", before);
    window.removeEventListener("afterprint", after);
  };
};
