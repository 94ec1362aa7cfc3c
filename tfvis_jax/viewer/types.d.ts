// The types that the page's scripts share; `make check-js` checks them.

/** A number, or null where there is none. */
type Value = number | null;
type Level = "low" | "mid" | "high" | "unclear";

/** data/manifest.js */
interface Manifest {
  schema: string;
  title: string;
  model: string;
  corpus: string;
  layers: number[];
  l1_penalty: Value;
  /** Names with a scalar, or with one number per layer. */
  report: [string, Value | string | Value[]][];
  featured: number[];
  level_names: Level[];
  shard_size: number;
  counts: { factors: number; alive: number; contexts: number; levels: number[] };
}

/** data/index.js: columns over all factors. */
interface Index {
  /** Position in level_names. */
  levels: number[];
  /** [layer][factor] */
  importance: Value[][];
  /** Position in layers; null for dead factors. */
  peak: Value[];
  /** Largest over all layers. */
  activation: Value[];
  /** At the peak layer. */
  density: Value[];
  vocabulary: string[];
  /** Factor and its user-supplied label. */
  labels: [number, string][];
  /** Per factor: position in vocabulary, count. */
  words: [number, number][][];
}

/** before, word, after, document */
type Passage = [string, string, string, string];

/** One entry of data/factors/00000.js … */
interface Factor {
  factor: number;
  /** Why it has its level. */
  reason: string;
  /** Score and source of its label. */
  label_remarks: string;
  /** Per layer. */
  importance: Value[];
  density: Value[];
  /** Largest per layer. */
  activation: Value[];
  /** With counts, over all layers. */
  words: [string, number][];
  layer_words: [string, number][][];
  texts: Passage[];
  /** Per layer: position in texts, activation. */
  contexts: [number, Value][][];
}

/** A data file with up to shard_size factors. */
interface Shard {
  factors: Factor[];
}

/** What the list shows, and in which order. */
interface Choice {
  /** Words or a number. */
  q: string;
  /** "" for all. */
  level: string;
  /** Position of the peak layer, "" for all. */
  peak: string;
  /** If true, dead factors are listed too. */
  dead: boolean;
  /** Column, with "-" before it for descending. */
  sort: string;
}

/** data/live.js */
interface Live {
  /** If true, the server encodes sentences. */
  live: boolean;
  /** The data files of recorded sentences. */
  recorded: { text: string; name: string }[];
}

/** A sentence to encode. */
interface Question {
  text: string;
  /** Indices of tokens to mask. */
  masked: number[];
}

/** The first record of a sentence. */
interface SentenceHead {
  text: string;
  layers: number[];
  /** Per token. */
  pieces: string[];
  tokens: string[];
  spans: [number, number][];
  /** The word that each token belongs to. */
  words: number[];
}

/** One token at one layer. */
interface TokenCode {
  /** Factor, activation, share of ‖x‖²; largest activation first. */
  factors: [number, Value, Value][];
  l0: number;
  /** ‖ε‖ / ‖x‖ */
  residual: Value;
  residual_share: Value;
  gap: Value;
}

interface LayerRecord {
  layer: number;
  tokens: TokenCode[];
}

type LiveRecord = SentenceHead | LayerRecord | { error: string };

/** What has come of a sentence. */
interface Sentence {
  head: SentenceHead | null;
  layers: LayerRecord[];
}

/** The state of the page of a sentence, as in its address. */
interface SentenceState {
  text: string;
  /** A second sentence to compare with. */
  with: string;
  /** A token to mask. */
  mask: Value;
  token: Value;
  /** The token of the second sentence; null for the aligned one. */
  token2: Value;
  layer: Value;
  /** Factors shown. */
  k: Value;
  /** A factor that stays lit. */
  lit: Value;
}

interface SentenceGrid {
  element: HTMLElement;
  add(record: LayerRecord): void;
  select(token: number, i: number): void;
  /** Lights the cells where a factor fires; returns how many. */
  light(factor: Value): number;
}

interface SentenceBlock {
  element: HTMLElement;
  sentence: Sentence | null;
  grid: SentenceGrid | null;
  /** True where it can be neither encoded nor read. */
  missing: boolean;
  run(): Promise<void>;
  close(): void;
}

interface CellView {
  /** Makes the ids of the panel its own. */
  id: number;
  /** Ends the name of the panel. */
  where: string;
  token: string;
  layer: number;
  code: TokenCode;
  cut: number;
  pinned: Value;
  /** α of the token that it is compared with. */
  other: Map<number, number> | null;
  otherName: string | null;
  action: Child;
  pin(factor: number): void;
  light(factor: Value): void;
  setCut(k: number): void;
}

interface AlphasView {
  /** Ends the name of the panel. */
  where: string;
  token: string;
  layers: number[];
  /** Per layer. */
  codes: TokenCode[];
  /** Position in layers. */
  chosen: number;
  pinned: Value;
  light(factor: Value): void;
}

interface Route {
  page: string;
  number: string;
  params: URLSearchParams;
}

/** Parameters of an address; empty ones are left out. */
type Params = { [name: string]: string | number | null | undefined };

type Child = Node | string | number | null | undefined | false | Child[];
type Listeners = {
  [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => unknown;
};
type Properties = { [property: string]: string | number };

/** Null, undefined and false leave an attribute out; true sets it without a value. */
interface Attributes {
  [name: string]: string | number | boolean | null | undefined | Listeners | Properties;
  on?: Listeners;
  /** Custom properties. */
  style?: Properties;
}

/** By key; an action that returns false leaves the key to the browser. */
type Actions = { [key: string]: () => unknown };

/** What main shows. */
interface Page {
  element: HTMLElement;
  title?: string;
  /** Called once the element is in the document. */
  mounted?(): void;
  close?(): void;
  /** Shows another address without a new page; false if that needs one. */
  update?(at: Route): boolean;
  keys?: Actions;
}

/** The neighbours of a factor, null where there are none. */
interface Around {
  before: Value;
  after: Value;
  /** Position in the list, null if the list does not hold the factor. */
  place: Value;
  total: number;
}

interface List {
  element: HTMLElement;
  search: HTMLInputElement;
  random(): void;
  show(at: Route): void;
  redraw(): void;
  /** Address of the list as it was last seen. */
  address(): string;
  around(factor: number): Around;
}

/** Takes a position in layers. */
type ChooseLayer = (position: number) => void;

interface Curve {
  importance: Value[];
  density: Value[];
  layers: number[];
  /** Position in layers. */
  chosen: number;
  /** Pixels. */
  width: number;
  gutter: number;
  choose: ChooseLayer;
}

/** The parts of the page; each script adds its own. */
interface Tfvis {
  // theme.js
  memory: {
    get(key: string): string | null;
    set(key: string, value: string): void;
  };
  themeSwitch(button: HTMLButtonElement): void;

  // transport.js
  load(name: string): Promise<unknown>;
  receive(name: string, value: unknown): void;
  stream(
    path: string,
    question: Question,
    take: (record: unknown) => void,
    signal: AbortSignal,
  ): Promise<void>;

  // data.js
  data: {
    /** Set once open() has resolved, as is index. */
    manifest: Manifest;
    index: Index;
    open(): Promise<void>;
    factor(factor: number): Promise<Factor>;
    isDead(factor: number): boolean;
    level(factor: number): Level;
    importance(factor: number): Value[];
    label(factor: number): string | null;
    words(factor: number): [string, number][];
  };

  // dom.js
  dom: {
    el<Tag extends keyof HTMLElementTagNameMap>(
      tag: Tag,
      attributes?: Attributes | null,
      ...children: Child[]
    ): HTMLElementTagNameMap[Tag];
    svg<Tag extends keyof SVGElementTagNameMap>(
      tag: Tag,
      attributes?: Attributes | null,
      ...children: Child[]
    ): SVGElementTagNameMap[Tag];
    find<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind;
  };

  // format.js
  format: {
    number(x: Value | undefined): string;
    even(x: Value | undefined): string;
    percent(fraction: Value | undefined): string;
    count(n: number): string;
    compact(n: number): string;
    layers(layers: number[]): string;
    largest(values: Value[]): number;
  };

  // route.js
  route: {
    current(): Route;
    list(params?: Params): string;
    factor(factor: number, params?: Params): string;
    sentence(params?: Params): string;
    go(target: string): void;
    note(target: string): void;
  };

  // select.js
  select: {
    terms(q: string): string[];
    fold(text: string): string;
    order(index: Index, levelNames: string[], choice: Choice): number[];
  };

  // glyphs.js
  glyphs: {
    level(level: Level): HTMLElement;
    spark(importance: Value[], layers: number[]): SVGElement;
    label(text: string | null): Child;
    name(factor: number): string;
    words(
      words: [string, number][],
      options?: { terms?: string[]; limit?: number },
    ): HTMLElement;
  };

  // rows.js
  rows(
    box: HTMLElement,
    render: (item: number, place: number) => HTMLElement,
  ): { show(chosen: number[]): void; draw(): void };

  // header.js
  runHeader(manifest: Manifest): HTMLElement;

  // filters.js
  filters(
    manifest: Manifest,
    act: { change(part: Partial<Choice>): void; random(): void; open(): void },
  ): {
    element: HTMLElement;
    head: HTMLElement;
    search: HTMLInputElement;
    show(choice: Choice, found: number): void;
  };

  // list.js
  listPage(): List;

  // curve.js
  curve(at: Curve): SVGElement;

  // layers.js
  layersPanel(
    factor: Factor,
    layers: number[],
    choose: ChooseLayer,
  ): { element: HTMLElement; chart: HTMLElement; close(): void; show: ChooseLayer };

  // contexts.js
  contexts: {
    mark(word: string, activation: Value, largest: number): HTMLElement;
    panel(
      factor: Factor,
      layers: number[],
    ): { element: HTMLElement; show: ChooseLayer; toggle(): void };
  };

  // overview.js
  overview(
    factor: Factor,
    layers: number[],
    choose: ChooseLayer,
  ): { element: HTMLElement; show: ChooseLayer };

  // factor.js
  factorPage(at: Route, list: List): Promise<Page>;

  // live.js
  live: {
    open(): Promise<Live>;
    sentence(
      question: Question,
      grown: (sentence: Sentence) => void,
      signal: AbortSignal,
    ): Promise<Sentence | null>;
  };

  // align.js
  align(a: string[], b: string[]): Value[];

  // ask.js
  ask(options: { id: string; label: string; compare: boolean }): {
    element: HTMLElement;
    input: HTMLInputElement;
    /** Where sentences cannot be encoded. */
    disable(): void;
    show(text: string, other: string): void;
  };
  /** Sentences to open on, alone or with another to compare with. */
  examples: [string, string][];
  exampleSentences(examples: [string, string][]): HTMLElement;

  // grid.js
  tokenText(head: SentenceHead, token: number): string;
  sentenceGrid(
    head: SentenceHead,
    name: string,
    choose: (token: number, i: number) => void,
    light: (factor: Value) => void,
  ): SentenceGrid;

  // cell.js
  cellPanel(view: CellView): HTMLElement;

  // alphas.js
  alphasPanel(view: AlphasView): { element: HTMLElement; close(): void };

  // sentence.js
  sentencePage(at: Route, list: List): Promise<Page>;

  // keys.js
  keys(actions: () => Actions): void;
}

interface Window {
  tfvis: Tfvis;
}

/** Made by theme.js, which runs first. */
declare const tfvis: Tfvis;
