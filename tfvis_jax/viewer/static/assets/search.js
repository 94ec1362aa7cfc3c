/* The search box, the same on every page. */
"use strict";
{
  const { data, dom, route, select } = tfvis;

  /** Enter goes to the results; on the list they follow what is typed as well. */
  tfvis.searchBox = (list) => {
    const form = dom.find("search-form", HTMLFormElement);
    const top = dom.find("top", HTMLElement);
    const input = dom.find("search", HTMLInputElement);
    form.hidden = false;
    // In a narrow window the links above the box scroll away; it stays.
    new ResizeObserver(() => {
      const rise = form.offsetTop - parseFloat(getComputedStyle(top).paddingTop);
      const { style } = document.documentElement;
      style.setProperty("--rise", `${-rise}px`);
      style.setProperty("--head", `${top.offsetHeight - rise}px`);
    }).observe(top);
    input.addEventListener("input", () => {
      if (!list.element.hidden) list.seek(input.value);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const number = select.number(input.value);
      if (number !== null && number < data.manifest.counts.factors) {
        route.go(route.factor(number));
      } else if (list.element.hidden) {
        // After the listener that shows the list.
        window.addEventListener("hashchange", list.enter, { once: true });
        route.go(route.list({ q: input.value }));
      } else {
        list.enter();
      }
    });
    return {
      show(q) {
        if (input.value !== q) input.value = q;
      },
      focus() {
        input.focus();
        input.select();
      },
    };
  };
}
