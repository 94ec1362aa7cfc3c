/* Numbers and lists as people read them. */
"use strict";
{
  const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const compact = new Intl.NumberFormat("en", {
    notation: "compact",
    maximumSignificantDigits: 3,
  });

  /** @type {Tfvis["format"]} */
  const format = {
    /** Three significant digits; a dash for a missing value. */
    number(x) {
      if (x === null || x === undefined) return "–";
      if (x === 0) return "0";
      const size = Math.abs(x);
      if (size >= 1e6) return compact.format(x);
      if (size >= 1000) return integer.format(x);
      if (size < 1e-4) return x.toExponential(1);
      return x
        .toPrecision(3)
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, "");
    },

    /** Three digits, zeros included, so that a column reads evenly. */
    even(x) {
      if (!x || Math.abs(x) >= 100 || Math.abs(x) < 1e-3) return format.number(x);
      return x.toPrecision(3);
    },

    /** Two significant digits. */
    percent(fraction) {
      if (fraction === null || fraction === undefined) return "–";
      const percent = fraction * 100;
      if (percent === 0) return "0 %";
      if (percent < 0.001) return "<0.001 %";
      return `${Number(percent.toPrecision(2))} %`;
    },

    codes: (l1) => (l1 === null ? "imported encoder" : `λ ${format.number(l1)}`),

    count: (n) => integer.format(n),

    compact: (n) => compact.format(n),

    /** "layers 0–12", "layers 0, 2, 4", "layer 3". */
    layers(layers) {
      const last = layers[layers.length - 1];
      if (layers.length === 1) return `layer ${last}`;
      const dense = last - layers[0] === layers.length - 1;
      if (dense && layers.length > 2) return `layers ${layers[0]}–${last}`;
      return `layers ${layers.join(", ")}`;
    },

    /** The largest value, 0 if none is positive. */
    largest: (values) => Math.max(0, ...values.map((value) => value ?? 0)),
  };
  tfvis.format = format;
}
