// The types that the page's scripts share; `make check-js` checks them.

/** A number, or null where there is none. */
type Value = number | null;
/** One of level_names: "low", "mid", "high", "topic", "unreadable", "unclear" or another. */
type Level = string;

/** data/manifest.js */
interface Manifest {
  schema: string;
  title: string;
  model: string;
  corpus: string;
  /** Missing in older sites. */
  dictionary_hash?: string;
  layers: number[];
  l1_penalty: Value;
  /** Names with a scalar, or with one number per layer. */
  report: [string, Value | string | Value[]][];
  featured: number[];
  /** Of each: before, word, after and α of its strongest context at its peak; or null. */
  featured_contexts: ([string, string, string, Value] | null)[];
  level_names: Level[];
  shard_size: number;
  /** The last one is null: infinity. */
  histogram_edges: Value[];
  /** Whole passages in a data file. */
  window_shard: number;
  /** Whether there is data/run, and data/beside; missing in older sites. */
  run?: boolean;
  beside?: boolean;
  counts: {
    factors: number;
    alive: number;
    contexts: number;
    /** Data files of factors. */
    shards: number;
    levels: number[];
    /** Factors whose strongest tokens are from at most two documents. */
    narrow: number;
    /** Words that have a page; missing in older sites. */
    words?: number;
  };
}

/** data/index.js: columns over all factors. */
interface Index {
  /** Position in level_names. */
  levels: number[];
  /** Probability of the level; 0 if unclear, null if a guess. Empty if all are. */
  level_scores: Value[];
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
  /** A factor measured to need context, with its strongest one: before, word, after. */
  contexts: [number, string, string, string][];
  /** Per factor: position in vocabulary, number of documents. */
  words: [number, number][][];
  /** Per factor: position in vocabulary, how strongly and exclusively it fires. */
  fires: [number, Value][][];
  /** Per factor: phrase, share of its strongest contexts. */
  phrases: [string, Value][][];
}

/** before, word, after, document, number of the whole passage, place of the word in it */
type Passage = [string, string, string, string, Value, number];

/**
 * Position in texts; activation; other words on which it fires, as offset from the word,
 * length, activation, in characters; near-duplicates left out.
 */
type Entry = [number, Value, number[], number];

/** All tokens that fire a factor at a layer. */
interface Firings {
  /** 90th to 99th percentile, 50th to 90th, random sample. */
  bands: Entry[][];
  /** Documents of the strongest tokens, and number of these. */
  documents: [number, number];
  /** Share of tokens and of α that the listed words make up. */
  explained: Value[] | null;
  /** First bin, counts; empty if none. */
  histogram: number[];
  /** 50th, 90th and 99th percentile. */
  quantiles: Value[];
}

/** Which firings are shown: top, upper, middle or random. */
type Band = "top" | "upper" | "middle" | "random";

/** Share of right answers, its 95 % interval, and chance, by name of the score. */
interface LabelScores {
  judge: string;
  shares: [string, [number, number, number, number]][];
}

/** One entry of data/factors/00000.js … */
interface Factor {
  factor: number;
  /** Why it has its level. */
  reason: string;
  /** Score and source of its label. */
  label_remarks: string;
  /** Who made its label; missing in older sites, as what follows. */
  label_source?: string;
  /** Of the label, or of the words of a factor without one. */
  label_scores?: LabelScores | null;
  /** Per layer. */
  importance: Value[];
  density: Value[];
  /** Largest per layer. */
  activation: Value[];
  /** With numbers of documents, at the peak layer. */
  words: [string, number][];
  layer_words: [string, number][][];
  texts: Passage[];
  /** Per layer, largest activation first. */
  contexts: Entry[][];
  /** Per layer, or empty. */
  firings: Firings[];
  /** Factors and their cosine similarity; missing in older sites, as what follows. */
  nearest?: [number, Value][];
  /** Per layer, co-firing factors and their Jaccard index. */
  together?: [number, Value][][];
  /** Entries of the vocabulary, and how much their logit changes. */
  raises?: [string, Value][];
  lowers?: [string, Value][];
}

/** A data file with up to shard_size factors. */
interface Shard {
  factors: Factor[];
}

/** What the cells of a word's table show. */
type WordMeasure = "mean" | "share" | "own";

/**
 * Factor; position of the layer where it is strongest on the word; α and position of a
 * context there; per layer, null where it does not fire: mean α, share of the word's
 * occurrences, share of the factor's α.
 */
type WordFactor = [number, number, Value, number, Value[], Value[], Value[]];

/** One entry of data/words/00.js … */
interface WordEntry {
  /** Without regard to case. */
  folded: string;
  spelling: string;
  occurrences: number;
  /** before, word, after, document */
  contexts: [string, string, string, string][];
  factors: WordFactor[];
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
  /** Column, with "-" before it for descending; "" for the best match or by number. */
  sort: string;
}

/** data/live.js */
interface Live {
  /** If true, the server encodes sentences. */
  live: boolean;
  /** Said by the server: what is newer than the page. */
  outdated?: string;
  /** The data files of recorded sentences. */
  recorded: { text: string; name: string }[];
}

interface RunCurve {
  label: string;
  about: string;
  values: Value[];
}

/** data/run.js */
interface RunRecord {
  batches: number[];
  curves: RunCurve[];
  /** Titles of groups, with names and values. */
  facts: [string, [string, Value | string][]][];
  notes: string[];
  /** Batches in a point of a curve. */
  stride: number;
}

/** data/beside.js: a second run. Its factors, and for each of this run's its matches. */
interface Beside {
  title: string;
  corpus: string;
  l1_penalty: Value;
  words: string[][];
  labels: string[];
  nearest: number[];
  cosine: number[];
  /** One to one; null where the other run has too few factors. */
  partner: Value[];
  partner_cosine: Value[];
  by_chance: Value;
}

/** What a person says of a factor; any text. */
interface FactorNote {
  /** "" for the computed one. */
  level: string;
  label: string;
  note: string;
  by: string;
  /** A date. */
  changed: string;
}

/** data/notes.js */
interface Notes {
  /** If true, the server stores changes. */
  editable: boolean;
  notes: [number, FactorNote][];
}

/** Where a context to rate is from. */
type RatedBand = Band | "decoy";
type RatedSays = "fits" | "not" | "skip";

/** What one person says of a factor's contexts at a layer; any text. */
interface Rating {
  factor: number;
  layer: number;
  by: string;
  /** What the factor is said to stand for. */
  hypothesis: string;
  /** A date. */
  changed: string;
  judged: { context: string; band: RatedBand; says: RatedSays }[];
}

/** data/ratings.js */
interface Ratings {
  /** If true, the server stores changes. */
  editable: boolean;
  ratings: Rating[];
}

/** A context to rate. */
interface RatedItem {
  /** Names its text. */
  id: string;
  band: RatedBand;
  before: string;
  word: string;
  after: string;
  title: string;
  alpha: Value;
  /** The factor that a decoy is from. */
  from: Value;
}

/** Contexts that fit, of those that are judged. */
interface RatedShare {
  fits: number;
  n: number;
}

/** data/levels.js */
interface LevelEvidence {
  /** Probability below which a level is unclear. */
  least: Value;
  /** Shares, the two most telling first; null where one is not known. */
  measures: { name: string; label: string; values: Value[] }[];
  /** Levels, in the order of the probabilities of each factor. */
  names: Level[];
  probabilities: (number[] | null)[];
}

/** A factor in the plane of two shares. */
interface LevelPoint {
  factor: number;
  x: number;
  y: number;
  level: Level;
  /** Of the likeliest level; null where too little is known. */
  p: Value;
}

interface Scatter {
  element: SVGSVGElement;
  shares(event: MouseEvent): number[];
  light(point: LevelPoint | null): void;
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
  /** Tokens that the vocabulary does not know; missing in older recordings. */
  unknown?: number[];
  /** Tokens that the model does not see; missing in older recordings. */
  masked?: number[];
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

/** What LIME has found so far. */
interface Explained {
  /** α of the whole sentence. */
  activation: Value;
  r2: Value;
  relative_error: Value;
  samples: number;
  /** Per token. */
  weights: Value[];
}

/** What a change along a factor has done so far. */
interface Steered {
  /** Of the language model head; null without one. */
  objective: "masked_lm" | "causal_lm" | null;
  /** Per token, the most probable words; empty without a head. */
  before: [string, Value][][];
  after: [string, Value][][];
  /** Per token, KL in nats; without a head one, 1 − cosine of the embedding. */
  effect: Value[];
  /** The same of other factors, a row each. */
  controls: Value[][];
  /** Per token. */
  relative_size: Value[];
}

/** One token of a sentence at one layer. */
interface Cell {
  head: SentenceHead;
  token: number;
  layer: number;
  /** Those to ask about. */
  factors: TokenCode["factors"];
  /** The one that is asked about first. */
  chosen: Value;
  /** The sentence, where two are compared. */
  of: string | null;
}

/** What is asked about a factor at a cell. */
interface Inquiry<Answer> {
  /** Begins the ids of the panel. */
  id: string;
  /** The token follows. */
  title: string;
  about: string;
  /** Stand after the choice of the factor, and below. */
  fields?: Child;
  below?: Child;
  /** On the button. */
  verb: string;
  /** Closes the panel, where a button does. */
  close?(): void;
  path: string;
  question(cell: Cell, factor: number): object;
  /** Another cell, factor or field is chosen. */
  changed?(cell: Cell, factor: number): void;
  said(cell: Cell, answer: Answer): string;
  drawn(cell: Cell, answer: Answer): Node[];
}

interface CellPanel {
  element: HTMLElement;
  /** Null hides it. */
  show(cell: Cell | null): void;
  close(): void;
}

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
  /** A factor that may be taken out or added, where that is shown. */
  steer: Value;
}

interface SentenceGrid {
  element: HTMLElement;
  add(record: LayerRecord): void;
  select(token: number, i: number): void;
  /** The largest α of a factor. */
  peak(factor: number): number;
  /**
   * Lights the cells where a factor fires, by its α relative to the most; returns how many.
   * One that is kept shows its α in all of them.
   */
  light(factor: Value, most: number, kept: boolean): number;
}

/** What a cell of the grid shows, and the α of its factors. */
interface GridCode {
  alphas: Map<number, number>;
  words: string;
  /** Of its colour, from 0 to 1. */
  strength: number;
  /** Its name for screen readers. */
  said: string;
}

/** One of two tokens that are compared. */
interface PairCell {
  token: string;
  /** Its sentence. */
  of: string;
  code: TokenCode;
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
  /** Ends the name of the panel; names its sentence, too, if it says anything. */
  where: string;
  /** The sentence. */
  of: string;
  /** Its first words, for the names of files. */
  file: string;
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
  /** Names the panel; the token does if left out. */
  title?: string;
  /** Ends the name of the panel. */
  where: string;
  /** The sentence, and its first words for the names of files. */
  of?: string;
  file?: string;
  token: string;
  layers: number[];
  /** Per layer. */
  codes: TokenCode[];
  /** Of the token that it is compared with: both charts have the same scale. */
  others?: TokenCode[];
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
  /** Takes a query as it is typed, where the list is shown. */
  seek(q: string): void;
  /** Moves the focus to the first result of a search. */
  enter(): void;
  random(): void;
  show(at: Route): void;
  redraw(): void;
  /** Address of the list as it was last seen. */
  address(): string;
  around(factor: number): Around;
}

/** The factors of a level: 25th, 50th and 75th percentile by layer. */
interface LevelCurve {
  name: string;
  count: number;
  quartiles: number[][];
}

/** What a file with comma-separated values holds. */
interface Table {
  columns: string[];
  rows: (Value | string)[][];
}

/** A drawing and a table of the same, to save. */
interface TakePart {
  label: string;
  /** Ends the name of its files. */
  key?: string | (() => string);
  /** Stands above the drawing, and in the caption of the table. */
  head?(): string;
  svg?(): SVGElement | null;
  table?(): Table;
  /** A formula to copy. */
  tex?(): string;
}

interface Take {
  /** What is saved, for screen readers. */
  title: string;
  /** Parts of the names of the files. */
  name(): string[];
  /** Begins the titles of drawings; the names of the files if left out. */
  subject?(): string;
  parts: TakePart[];
  json?(): object;
  /** The address of what is shown, "#/…"; that of the page if left out. */
  link?(): string;
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
  /** If true, the numbers of the layers stand below. */
  numbered?: boolean;
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
    question: object,
    take: (record: unknown) => void,
    signal: AbortSignal,
  ): Promise<void>;
  post(path: string, value: object): Promise<unknown>;
  need(page: string): Promise<void>;
  /** By the first part of their address; each is there once need() has loaded it. */
  pages: { [name: string]: (at: Route, list: List) => Promise<Page> };

  // data.js
  data: {
    /** Set once open() has resolved, as is index. */
    manifest: Manifest;
    index: Index;
    live: Live;
    open(): Promise<void>;
    factor(factor: number): Promise<Factor>;
    /** A whole passage. */
    window(number: number): Promise<string>;
    /** What follows the name of a level: its probability, or that it is a guess. */
    levelNote(factor: number): string | null;
    /** What people say, by factor. */
    notes: Map<number, FactorNote>;
    notesEditable: boolean;
    /** Shows levels and labels that people set in place of others. */
    takeNotes(notes: Notes): void;
    /** Live factors of a level, by its position in level_names. */
    levelCount(place: number): number;
    /** What the rule says, whatever people set. */
    computedLevel(factor: number): Level;
    computedNote(factor: number): string | null;
    /** Live factors whose levels are guesses, because their context was not measured. */
    guesses(index: Index): number;
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
    /** What finds the codes: an imported encoder has no λ. */
    codes(l1: Value): string;
    percent(fraction: Value | undefined): string;
    count(n: number): string;
    compact(n: number): string;
    layers(layers: number[]): string;
    largest(values: Value[]): number;
  };

  // parts.js
  parts: {
    trail(list: List, ...more: Child[]): HTMLElement;
    panel(title: Child, tools: Child, ...children: Child[]): HTMLElement;
    choices(
      label: string,
      options: [value: string, label: string][],
      choose: (value: string) => void,
    ): { element: HTMLElement; show(chosen: string): void };
    table(heads: Child[], rows: Child[][]): HTMLElement;
    inARow(facts: string[]): (Node | string)[];
    folded(label: string, summary: string, content: Child): HTMLElement;
    field(id: string, label: string, input: HTMLElement): HTMLElement;
    button(label: Child, click: () => unknown, more?: Attributes): HTMLButtonElement;
    why(error: unknown): string;
    save(name: string, content: Blob): void;
  };

  // rated.js
  rated: {
    wilson(fits: number, n: number): number[];
    share(judged: Rating["judged"], band: RatedBand): RatedShare;
    agreement(first: Rating, second: Rating): { n: number; same: number; kappa: Value };
    contextId(before: string, word: string, after: string): string;
    random(seed: string): () => number;
    shuffled<Item>(items: Item[], seed: string): Item[];
  };

  // decoys.js
  /** The contexts of a factor at a layer, by its position, and decoys. */
  toRate(factor: Factor, i: number): Promise<RatedItem[]>;

  // ratings.js
  ratings: {
    editable: boolean;
    open(): Promise<void>;
    all(): Rating[];
    find(factor: number, layer: number, by: string): Rating | null;
    /** True if the run does not have it. */
    unsaved(rating: Rating): boolean;
    put(rating: Rating): void;
    send(rating: Rating): Promise<void>;
    download(): void;
    take(file: File): Promise<number>;
  };

  // rate-result.js
  rateResult(rating: Rating, items: RatedItem[]): HTMLElement;
  ratedFactors(): HTMLElement;

  // scatter.js
  scatter(view: {
    points: LevelPoint[];
    names: Level[];
    /** What is across, what is up. */
    labels: string[];
    /** From and to across, from and to up. */
    region: number[];
    width: number;
  }): Scatter;

  // route.js
  route: {
    current(): Route;
    list(params?: Params): string;
    factor(factor: number, params?: Params): string;
    word(word: string, params?: Params): string;
    compare(params?: Params): string;
    rate(factor: Value, params?: Params): string;
    levels(params?: Params): string;
    sentence(params?: Params): string;
    /** Where a term is explained. */
    about(term?: string): string;
    run(): string;
    runs(params?: Params): string;
    go(target: string): void;
    note(target: string): void;
  };

  // select.js
  select: {
    terms(q: string): string[];
    fold(text: string): string;
    number(text: string): Value;
    hits(index: Index, factor: number, q: string): string[];
    why(index: Index, factor: number, q: string): string;
    order(
      index: Index,
      levelNames: string[],
      choice: Choice,
      ranked?: number[] | null,
    ): { chosen: number[]; counts: number[] };
  };

  // glyphs.js
  glyphs: {
    level(level: Level, note?: string | null): HTMLElement;
    spark(importance: Value[], layers: number[]): SVGElement;
    mark(word: string, activation: Value, largest: number): HTMLElement;
    label(text: string | null): Child;
    name(factor: number): string;
    what(factor: number): Child;
    phi(factor: number): string;
    readable(word: string): string;
    listed(words: string[]): Child;
    few(factor: number, n?: number): Child;
    words(
      words: [string, number][],
      options?: { hits?: string[]; terms?: string[]; limit?: number; links?: boolean },
    ): HTMLElement;
  };

  // rows.js
  rows(
    box: HTMLElement,
    render: (item: number, place: number) => HTMLElement,
  ): { show(chosen: number[]): void; draw(): void };

  // picture.js
  picture(layers: number[]): SVGElement;

  // quality.js
  quality(manifest: Manifest, index: Index, id: string): HTMLElement;

  // levels.js
  levelCurves(columns?: number): HTMLElement;

  // header.js
  runHeader(manifest: Manifest): HTMLElement;

  // filters.js
  filters(
    manifest: Manifest,
    act: { change(part: Partial<Choice>): void; random(): void },
  ): {
    element: HTMLElement;
    head: HTMLElement;
    focus(level: string): void;
    /** With the number of factors found, and of each level. */
    show(choice: Choice, found: number, levels: number[]): void;
  };

  // list.js
  listPage(): List;

  // curve.js
  curve(at: Curve): SVGElement;
  /** Round steps from 0 to at least the largest value. */
  ticks(largest: number): number[];

  // layers.js
  layersPanel(
    factor: Factor,
    layers: number[],
    choose: ChooseLayer,
  ): { element: HTMLElement; chart: HTMLElement; close(): void; show: ChooseLayer };

  // contexts.js
  contexts: {
    table(factor: Factor, layers: number[], entries: Entry[][], band: Band): Table;
    json(factor: Factor, layers: number[], entries: Entry[][], band: Band): object;
    panel(
      factor: Factor,
      layers: number[],
      choose: (band: Band) => void,
    ): {
      element: HTMLElement;
      show(i: number, band: Band): void;
      toggle(): void;
    };
  };

  // histogram.js
  bandRange(firings: Firings, band: Band, top: Entry[]): { low: number; high: number };
  histogram(
    firings: Firings,
    edges: Value[],
    shown: { low: number; high: number },
  ): SVGElement;

  histogramAsTable(firings: Firings, edges: Value[]): HTMLElement;

  // relatives.js
  relatives(
    factor: Factor,
    layers: number[],
  ): { element: HTMLElement; show: ChooseLayer } | null;

  // notes.js
  notePanel(factor: number, changed: () => void): HTMLElement;
  /** Who set a level, and what the rule says; null where nobody did. */
  levelSource(factor: number): HTMLElement | null;
  histogramSheet(
    firings: Firings,
    edges: Value[],
    shown: { low: number; high: number },
  ): SVGElement;
  histogramTable(firings: Firings, edges: Value[]): Table;

  // paper.js
  paper(width: number, draw: (width?: number) => void): () => void;

  // vector.js
  vector: {
    text(drawing: SVGElement, title: string, note: string): string;
    picture(text: string): Promise<Blob>;
  };

  // take.js
  take(take: Take): HTMLElement;

  // draw.js
  draw: {
    contexts(
      factor: Factor,
      groups: { name: string; entries: Entry[] }[],
      largest: number,
    ): SVGElement;
    sentence(sentence: Sentence): SVGElement | null;
    sum(title: string, code: TokenCode, k: number): SVGElement;
    /** As much of a text as fits; if bold is left out, in the plain font. */
    fit(text: string, room: number, end?: boolean, bold?: boolean): string;
    text(x: number, y: number, words: string, more?: Attributes): SVGElement;
    sheet(size: [number, number], ...children: Child[]): SVGElement;
    headed(drawing: SVGElement, title: string): SVGElement;
  };

  // passage.js
  passage: {
    before(passage: Passage, entry: Entry, largest: number, before?: string): Child[];
    after(passage: Passage, entry: Entry, largest: number, after?: string): Child[];
    /** Texts before and after the word, each piece with its activation. */
    pieces(passage: Passage, entry: Entry): [string, number][][];
    /** How dark a word is shaded, 0 to 1. */
    strength(activation: number, largest: number): number;
  };

  // overview.js
  overview(
    factor: Factor,
    layers: number[],
    choose: ChooseLayer,
  ): { element: HTMLElement; show: ChooseLayer };

  // words.js
  words: {
    fold(word: string): string;
    hash(text: string): number;
    /** Words to begin with: those of the suggested factors. */
    suggested(): string[];
    /** A list of words that lead to their pages. */
    links(list: string[]): HTMLElement;
    /** True if words have pages. */
    any(): boolean;
    find(word: string): Promise<WordEntry | null>;
    /** Known words that are spelled like one that is not. */
    alike(word: string): Promise<string[]>;
  };

  // live.js
  live: {
    sentence(
      question: Question,
      grown: (sentence: Sentence) => void,
      signal: AbortSignal,
    ): Promise<Sentence | null>;
  };

  // align.js, pair.js; there once need("pair") has loaded them
  align(a: string[], b: string[]): Value[];
  pair: {
    /** Token and position of the layer; either may be given. Null where no word is shared. */
    open(
      one: Sentence,
      two: Sentence,
      partners: Value[],
      token: Value,
      layer: Value,
    ): [number, number] | null;
    panel(view: {
      cells: PairCell[];
      layer: number;
      /** "in first", "in second" */
      sides: string[];
      /** Parts of the names of the files. */
      file: string[];
      light(factor: Value): void;
      all: boolean;
      setAll(all: boolean): void;
    }): HTMLElement;
  };

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
  /** The first recorded sentences, then those that share a word beside each other. */
  recordedExamples(most?: number): [string, string][];
  howToView(): Child;
  /** As a shell reads it. */
  quoted(text: string): string;

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

  // lime.js; there once need("lime") has loaded it
  limePanel(): CellPanel;

  // inquiry.js
  inquiry<Answer>(kind: Inquiry<Answer>): CellPanel;

  // steer.js; there once need("steer") has loaded it
  steerPanel(chosen: (factor: number) => void, close: () => void): CellPanel;

  // search.js
  searchBox(list: List): { show(q: string): void; focus(): void };

  // keys.js
  keys(actions: () => Actions): void;
}

interface Window {
  tfvis: Tfvis;
}

/** Made by theme.js, which runs first. */
declare const tfvis: Tfvis;
