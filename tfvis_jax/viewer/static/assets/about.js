/* What the page shows, its definitions, what not to conclude: #/about/fvu. The text is in
   index.html. */
"use strict";
{
  const { dom, data, route } = tfvis;

  tfvis.pages.about = async (at, list) => {
    const element = dom.el(
      "article",
      { class: "about-page page" },
      tfvis.parts.trail(list),
      dom.find("about", HTMLTemplateElement).content.cloneNode(true),
    );
    // The same list as in the dialog.
    const keys = document.querySelector("#keys dl");
    if (keys) element.lastElementChild?.append(keys.cloneNode(true));

    /** Shows the definition that an address names. @param {string} name */
    function show(name) {
      for (const old of element.querySelectorAll(".asked"))
        old.classList.remove("asked");
      const term = name ? element.querySelector(`#about-${CSS.escape(name)}`) : null;
      term?.classList.add("asked");
      // After the page has been scrolled to its top.
      if (term) requestAnimationFrame(() => term.scrollIntoView({ block: "center" }));
    }

    return {
      element,
      title: `About · ${data.manifest.title}`,
      mounted: () => show(at.number),
      update(next) {
        if (next.page !== "about") return false;
        show(next.number);
        return true;
      },
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
