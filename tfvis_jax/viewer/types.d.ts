// The shapes that the page's scripts share, for an editor or `tsc --checkJs`.

/** data/manifest.js */
interface Manifest {
  schema: string;
  title: string;
  model: string;
  corpus: string;
  layers: number[];
  l1_penalty: number;
  report: [string, number | string | number[] | null][];
  featured: number[];
  level_names: string[];
  shard_size: number;
  counts: { factors: number; alive: number; contexts: number; levels: number[] };
}

/** data/index.js: columns over all factors. */
interface Index {
  /** Position in level_names. */
  levels: number[];
  /** [layer][factor] */
  importance: (number | null)[][];
  /** Position in layers; null for dead factors. */
  peak: (number | null)[];
  /** Greatest over all layers. */
  activation: (number | null)[];
  /** At the peak layer. */
  density: (number | null)[];
  vocabulary: string[];
  /** Factor, what somebody calls it. */
  labels: [number, string][];
  /** Per factor: place in vocabulary, count. */
  words: [number, number][][];
}

/** One entry of data/factors/00000.js … */
interface Factor {
  factor: number;
  /** Why it has its level. */
  reason: string;
  /** Score and source of its label. */
  label_remarks: string;
  /** Per layer. */
  importance: (number | null)[];
  density: (number | null)[];
  /** Greatest per layer. */
  activation: (number | null)[];
  /** With counts, over all layers. */
  words: [string, number][];
  layer_words: [string, number][][];
  /** before, word, after, document */
  texts: [string, string, string, string][];
  /** Per layer: place in texts, activation. */
  contexts: [number, number | null][][];
}

/** What the list shows, and in which order. */
interface Choice {
  /** Words or a number. */
  q: string;
  /** "" for all. */
  level: string;
  /** Position of the peak layer, "" for all. */
  peak: string;
  /** Show dead factors too. */
  dead: boolean;
  /** Column, with "-" before it for descending. */
  sort: string;
}

interface Route {
  page: string;
  number: string;
  params: URLSearchParams;
}

type Child = Node | string | number | null | undefined | false | Child[];

/** `on`: listeners by event; `style`: custom properties; null and false leave out. */
type Attributes = { [name: string]: any } | null;

interface Tfvis {
  load(name: string): Promise<any>;
  receive(name: string, value: unknown): void;
  data: {
    manifest: Manifest;
    index: Index;
    open(): Promise<void>;
    factor(factor: number): Promise<Factor>;
    isDead(factor: number): boolean;
    level(factor: number): string;
    importance(factor: number): (number | null)[];
    label(factor: number): string | null;
    words(factor: number): [string, number][];
  };
  dom: {
    el(tag: string, attributes?: Attributes, ...children: Child[]): HTMLElement;
    svg(tag: string, attributes?: Attributes, ...children: Child[]): SVGElement;
  };
  [part: string]: any;
}

interface Window {
  tfvis: Tfvis;
}
