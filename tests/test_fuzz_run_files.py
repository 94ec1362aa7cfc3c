"""Damaged files of a run are refused by an InputError, however they are damaged."""

import contextlib
import dataclasses
import io
import itertools
import json
import shutil

import fuzzing
import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, pipeline, sharding
from tfvis_jax.data import build_windows, hidden_states_folder, loader
from tfvis_jax.description import label_forms, labels
from tfvis_jax.evaluation import rated
from tfvis_jax.examples import gathering, token_tables, unfinished
from tfvis_jax.examples import stored as stored_lib
from tfvis_jax.labelling import request_log, scores
from tfvis_jax.learning import state as state_lib
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering as level_gathering
from tfvis_jax.levels import level_file, measuring
from tfvis_jax.notebook import explanations_file
from tfvis_jax.planning import plan
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.runs import (
    human_notes,
    parallel_encoding,
    setup,
    stored_hidden_states,
)
from tfvis_jax.runs import ratings as ratings_lib
from tfvis_jax.training import checkpoint, metrics_log
from tfvis_jax.viewer import bundle, server

pytestmark = pytest.mark.fuzz

# A pass over this many windows is left unfinished.
_WINDOWS = 24


@pytest.fixture(scope="module")
def source(toy_run, tmp_path_factory):
    """A run with a file of every kind."""
    path = tmp_path_factory.mktemp("fuzz") / "run"
    shutil.copytree(toy_run, path)
    run = tfvis_jax.load_run(path)
    context = evidence_lib.Context(dict.fromkeys(measuring.ALTERATIONS, 0.5), 0.1)
    evidence = [
        each and dataclasses.replace(each, context=context)
        for each in level_gathering.of_examples(run)
    ]
    measured = level_file.Measured(evidence, 4)
    level_file.save(run.directory.levels, measured, run.examples)
    _said_by_people(run)
    pipeline.evaluate(path, k=4, loss_windows=0)
    known = {3: labels.FactorLabel("rivers", 0.5, "a person")}
    labels.save(run.directory.labels, known, run.trained)
    of_run = run.trained.content_hash
    score = scores.Score(3, 4)
    scored = scores.Scored("rivers", "a person", 1, "words", fuzzing=score)
    scores.save(run.directory.label_scores, {3: [scored]}, dictionary_hash=of_run)
    with request_log.opened(run.directory.labelling, dictionary_hash=of_run) as log:
        log.add(request_log.Line("0" * 64, 3, "label", "m", "{}", "malformed"), {})
    explanations_file.explain_factors(
        run,
        [0, 3, 4],
        run.directory.explanations,
        settings=explanations_file.LineSettings(examples=3, maps=0),
        progress=lambda done, total: None,
    )
    stored_hidden_states.fill(
        run.directory.hidden_states,
        run.opened,
        run.windows,
        dtype="float32",
        progress=lambda done, total: None,
    )
    assert cli.main(["export", str(path), "--contexts=2"]) == 0
    _unfinished_pass(run)
    return path


def _said_by_people(run):
    """Saves notes and ratings, as the page does."""
    notes = pipeline.note_store(run.directory)
    for factor in (3, 4):
        note = human_notes.Note(level="low", label="rivers", note="a\nb", by="Ada")
        notes.change(factor, note, levels=("low", "mid", "high"))
    ratings = pipeline.rating_store(run.directory)
    for by in ("Ada", "Bob"):
        judged = [
            ratings_lib.Judgement(context=f"{n:08x}", band=band, says=says)
            for n, (band, says) in enumerate(
                (("top", "fits"), ("middle", "not"), ("decoy", "skip"))
            )
        ]
        rating = ratings_lib.Rating(
            factor=3, layer=1, judged=judged, hypothesis="rivers", by=by
        )
        ratings.change(rating, layers=run.trained.layers)


def _unfinished_pass(run):
    """Saves the state of a pass that has seen some windows, with made-up codes."""
    folder = unfinished.PassFolder(run.directory.examples_progress)
    settings = gathering.settings_of(n=8, n_random=4, seed=0)
    folder.begin({"n_batches": 9}, settings)
    tokens = token_tables.TokenTables(folder.folder, prefix="0")
    collector = _collector(run, tokens)
    rng = np.random.default_rng(0)
    for batch in loader.batches(
        run.windows, np.arange(_WINDOWS), batch_size=_WINDOWS, shuffle=False
    ):
        rows = batch.row_mask.size
        codes = rng.exponential(size=(rows, 24)).astype(np.float32)
        codes *= batch.row_mask.reshape(-1, 1) * (rng.random(codes.shape) < 0.2)
        norms = np.ones(rows, np.float32)
        for index in range(len(run.trained.layers)):
            encoded = parallel_encoding.EncodedLayer(batch, codes, norms, 0 * norms)
            collector.add(index, encoded)
    tokens.flush()
    state = unfinished.PassState(np.arange(2), tokens.names, collector.arrays())
    folder.save(0, state)


def _collector(run, tokens):
    return gathering.Collector(
        run.trained, run.windows, tokens=tokens, n=8, n_random=4, seed=0
    )


@pytest.fixture
def run_files(source, tmp_path):
    """A copy of the run that a test may damage, and what is in it."""
    path = tmp_path / "run"
    shutil.copytree(source, path)
    return path, fuzzing.files_of(path, but=("checkpoints", "site/assets"))


def _only(files, *names):
    return {name: content for name, content in files.items() if name.startswith(names)}


def test_windows(fuzz, run_files):
    path, files = run_files
    config = tfvis_jax.load_run(path).config
    tokenizer = tfvis_jax.load_run(path).opened.tokenizer

    def read(folder, changed, rng):
        if "tokens/settings.json" in changed:
            build_windows.build(
                folder / "tokens", config.corpus, tokenizer=tokenizer, notify=str
            )
        windows = tfvis_jax.load_run(folder).windows
        _read_windows(windows, rng)

    fuzz.run(_only(files, "tokens/"), read, folder=path, others=files, inputs=750)


def _read_windows(windows, rng):
    every = np.arange(len(windows))
    assert windows.token_ids(every).max() < windows.vocab_size
    for mask in (windows.token_mask, windows.row_mask, windows.num_rows):
        mask(every)
    for window in rng.sample(range(len(windows)), min(len(windows), 3)):
        texts = windows.token_texts(window)
        assert windows.document(window) >= 0 and windows.document_name(window) != 0
        windows.spaced_texts(window)
        windows.words(window)
        for position in np.flatnonzero(windows.row_mask(np.array([window]))[0])[:2]:
            context = windows.context(window, int(position))
            assert texts[position] in context.word or windows.window_length


def test_resumed_windows(fuzz, run_files, toy_bert_folder):
    """An interrupted build has no index; complete shards are read and used."""
    path, files = run_files
    run = tfvis_jax.load_run(path)
    tokenizer = run.opened.tokenizer
    files = _only(files, "tokens/0", "tokens/settings")
    for file in (path / "tokens").iterdir():
        if f"tokens/{file.name}" not in files:
            file.unlink()

    def read(folder, changed, rng):
        try:
            windows = build_windows.build(
                folder / "tokens", run.config.corpus, tokenizer=tokenizer, notify=str
            )
            _read_windows(windows, rng)
        finally:
            for name in ("index", "sides", "token_counts", "is_continuation"):
                for file in (folder / "tokens").glob(f"{name}.*"):
                    file.unlink()

    fuzz.run(files, read, folder=path, inputs=350)


def test_settings_and_model(fuzz, run_files):
    path, files = run_files
    kept = tfvis_jax.load_run(path).config

    def read(folder, changed, rng):
        run = directory_lib.RunDirectory(folder)
        config = run.read_config()
        assert isinstance(hash(config), int)
        tfvis_jax.load_run(folder).windows.token_ids(np.arange(3))
        if config != kept:
            with contextlib.suppress(ValueError):
                json.dumps(str(config))
        setup.open_model(run, config)

    fuzz.run(
        _only(files, "config.json", "model.json"),
        read,
        folder=path,
        others=files,
        inputs=45,
    )


# Orbax leaves coroutines behind where a read fails.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::RuntimeWarning"
)
def test_checkpoints(fuzz, run_files, source):
    """A damaged one is moved away, or all of them are refused."""
    path, _ = run_files
    opened = tfvis_jax.load_run(path).opened
    identity = setup.identity(opened, opened.windows())
    abstract = state_lib.with_layout(
        state_lib.abstract(
            n_factors=24,
            d_model=opened.pretrained.config.d_model,
            n_layers=len(opened.layers),
            config=opened.config.dictionary,
            whitened=False,
        ),
        sharding.one_device(),
    )
    kept = source / "checkpoints"

    def read(folder, changed, rng):
        place = folder / "checkpoints"
        try:
            with checkpoint.open_folder(place, run=identity, notify=str) as found:
                if found.latest_batch is not None:
                    state = found.restore(abstract)
                    assert np.isfinite(state.dictionary).all()
        finally:
            for left in folder.glob("checkpoints*"):
                shutil.rmtree(left)
            shutil.copytree(kept, place)

    files = {f"checkpoints/{n}": c for n, c in fuzzing.files_of(kept).items()}
    fuzz.run(files, read, folder=path, inputs=40)


def test_log(fuzz, run_files):
    path, files = run_files

    def read(folder, changed, rng):
        log = metrics_log.read(folder / "metrics.jsonl")
        plan.measured_rate(log)
        metrics_log.MetricsLog(folder / "metrics.jsonl", resumed_at=2)

    fuzz.run(
        _only(files, "metrics.jsonl"), read, folder=path, others=files, inputs=1900
    )


def test_examples_and_dictionary(fuzz, run_files):
    path, files = run_files

    def read(folder, changed, rng):
        run = tfvis_jax.load_run(folder)
        examples, n_layers = run.examples, len(run.trained.layers)
        assert np.isfinite(run.importance()).all() and run.trained.l1_penalty > 0
        assert np.isfinite(examples.density).all()
        for factor in rng.sample(range(len(run.trained.factors)), 8):
            index = rng.randrange(n_layers)
            examples.top_contexts(index, factor)
            examples.drawn_contexts(index, factor)
            partner, score = examples.partners(index, factor)
            assert ((partner >= 0) & (partner < 24)).all() and (score <= 1).all()
            if examples.firing[index, factor]:
                chosen = run.factor(factor)
                layer = run.trained.layers[index]
                for found in (
                    chosen.examples(layer=layer, n=3),
                    chosen.examples(layer=layer, n=3, fold="text"),
                    chosen.random_examples(layer=layer, n=3),
                    chosen.band_examples((0.5, 0.9), layer=layer, n=3),
                ):
                    json.dumps([vars(e) for e in found], allow_nan=False)

    fuzz.run(
        _only(files, "examples/", "dictionary.safetensors"),
        read,
        folder=path,
        others=files,
        inputs=250,
    )


def test_what_is_derived(fuzz, run_files):
    """Levels, labels, report, explanations, through a run's own methods."""
    path, files = run_files
    names = (
        *("levels.json", "labels.json", "report.json", "explanations.jsonl"),
        *("label_scores.json", "labelling.jsonl"),
    )

    def read(folder, changed, rng):
        run = tfvis_jax.load_run(folder)
        if "explanations.jsonl" in changed:
            explanations_file.read(folder / "explanations.jsonl")
        if "label_scores.json" in changed:
            for found in run.label_scores.values():
                assert all(0 <= s.value <= 1 for e in found for s in e.by_name.values())
        if "labelling.jsonl" in changed:
            of_run = run.trained.content_hash
            request_log.read(folder / "labelling.jsonl", dictionary_hash=of_run)
        if "labels.json" in changed:
            assert all(label.text for label in run.labels.values())
            label_forms.read(folder / "labels.json", n_factors=24)
        if "report.json" in changed:
            assert run.report["fvu"]["all"] is None or run.report["fvu"]["all"] > -1e30
        if "levels.json" in changed:
            assert len(run.levels) == 24
        changed &= {"levels.json", "report.json", "labels.json"}
        if changed and rng.random() < 0.05:
            run.factor(3).describe()

    fuzz.run(_only(files, *names), read, folder=path, others=files, inputs=450)


def test_what_people_say(fuzz, run_files):
    """Notes and ratings, read as the page shows them and changed as it does."""
    path, files = run_files

    def read(folder, changed, rng):
        if "notes.json" in changed:
            store = pipeline.note_store(folder)
            json.dumps(bundle.notes_value(store.read()), allow_nan=False).encode()
            assert len(tfvis_jax.load_run(folder).levels) == 24
            note = human_notes.Note(note="more")
            store.change(5, note, levels=("low", "mid", "high"))
            assert {5} <= store.read().keys() <= set(range(24))
        if "ratings.json" in changed:
            store = pipeline.rating_store(folder)
            found = store.read()
            json.dumps(bundle.ratings_value(found), allow_nan=False).encode()
            for one, other in itertools.pairwise(found):
                assert rated.agreement(one, other).n <= len(one.judged)
                assert 0 <= rated.share(one.judged, band="top").interval[0] <= 1
            kept = [each.key for each in found if each.key != (7, 2, "Eve")]
            added = ratings_lib.Rating(
                factor=7,
                layer=2,
                judged=[ratings_lib.Judgement("0" * 8, "top", "not")],
                by="Eve",
            )
            store.change(added, layers=(0, 1, 2))
            assert len(store.read()) == len(kept) + 1

    fuzz.run(_only(files, "notes.json", "ratings.json"), read, folder=path, inputs=1000)


def test_stored_hidden_states(fuzz, run_files):
    path, files = run_files
    run = tfvis_jax.load_run(path)
    model = setup.weights_hash(run.opened.pretrained)
    tokens = stored_hidden_states.windows_hash(run.windows)

    def read(folder, changed, rng):
        stored = hidden_states_folder.open(
            folder / "hidden_states", model=model, tokens=tokens
        )
        found = stored.read(np.arange(5))
        assert found.shape[1] == len(stored.layers)

    fuzz.run(
        _only(files, "hidden_states/"), read, folder=path, others=files, inputs=1200
    )


def test_resumed_hidden_states(fuzz, run_files):
    """An interrupted write has no about.json; what is intact is kept."""
    path, files = run_files
    about = json.loads(files["hidden_states/about.json"])
    (path / "hidden_states" / "about.json").unlink()
    files = _only(files, "hidden_states/begun.json", "hidden_states/states")

    def read(folder, changed, rng):
        writer = hidden_states_folder.Writer(folder / "hidden_states", about)
        for windows in writer.groups(process_index=0, process_count=1):
            # A file that is not intact would be computed again.
            assert writer.has(windows) or changed

    fuzz.run(files, read, folder=path, may_remove=True, inputs=750)


def test_unfinished_pass(fuzz, run_files):
    path, files = run_files
    run = tfvis_jax.load_run(path)

    def read(folder, changed, rng):
        pass_folder = unfinished.PassFolder(folder / "examples-progress")
        assert 0 <= pass_folder.fraction() <= 1
        unfinished.partly_computed(pass_folder.folder)
        saved = pass_folder.load(0)
        if saved is None:
            return
        tokens = token_tables.TokenTables(
            pass_folder.folder, prefix="0", names=saved.names
        )
        collector = _collector(run, tokens)
        gathering.add_state(collector, saved, pass_folder, 0)
        found = collector.finish([pass_folder.folder / name for name in saved.names])
        assert isinstance(found, stored_lib.Examples)

    fuzz.run(
        _only(files, "examples-progress/"), read, folder=path, others=files, inputs=250
    )


def test_page(fuzz, run_files):
    path, files = run_files

    def read(folder, changed, rng):
        with server.make_server(folder / "site", port=0):
            pass

    fuzz.run(
        _only(files, "site/data/manifest"), read, folder=path, others=files, inputs=2000
    )


def test_commands(fuzz, run_files):
    """What is said of a damaged run is a sentence."""
    path, files = run_files
    skipped = ("hidden_states/", "examples-progress/", "site/", ".lock")
    files = {name: files[name] for name in files if not name.startswith(skipped)}

    def read(folder, changed, rng):
        command, *more = rng.choice(
            (
                ["levels", "--per_factor=4"],
                ["labels"],
                ["describe", "--factor=3"],
                ["describe", "--factor=4", "--json"],
                ["export", "--contexts=2"],
                ["plan", "--num_devices=1"],
                ["evaluate", "--k=4", "--loss_windows=0"],
            )
        )
        said = io.StringIO()
        with (
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            code = cli.main([command, str(folder), *more])
        assert "Failed unexpectedly" not in said.getvalue(), (command, said.getvalue())
        assert code == 0 or "tfvis: " in said.getvalue()

    fuzz.run(files, read, folder=path, inputs=40)
