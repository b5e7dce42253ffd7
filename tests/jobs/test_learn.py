"""paceline learn: on from a trained run, with more data or with a stream."""

from __future__ import annotations

import http.server
import io
import json
import threading

import numpy as np
import pytest
import torch

import paceline
from paceline.cli.main import run as command
from paceline.core.errors import DataError, RunError, SettingError
from paceline.core.ledger import read_ledger
from paceline.jobs.continual import alerts
from paceline.jobs.continual.alerts import Alert, checked_address, post
from paceline.jobs.continual.drift import Drift, summaries
from paceline.jobs.continual.known import Wish
from paceline.jobs.continual.learn import beside
from paceline.jobs.continual.stream import Stream
from paceline.jobs.continual.training import Reservoir, divided, rows_of, spring_for
from paceline.tasks.base import Classification, Encoded

pd = pytest.importorskip("pandas")
pytest.importorskip("tabm")
pytest.importorskip("river")
SMALL = {"model.width": 32, "model.depth": 1, "model.members": 2, "model.embedding": 4}


def _made(count, seed, *, turned=False, labels="ab"):
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(count, 2))
    if turned:  # a corner that was seldom seen, where the answer is the other one
        numbers[:, 1] = random.uniform(1.5, 2.5, count)
    sign = (numbers[:, 0] > 0) != turned
    return pd.DataFrame(
        {
            "width": numbers[:, 0],
            "height": numbers[:, 1],
            "shade": random.choice(["red", "blue"], count),
            "kind": [labels[int(each)] for each in sign],
        }
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    _made(300, 0).to_csv(folder / "first.csv", index=False)
    return paceline.fit(
        folder / "first.csv",
        target="kind",
        steps=60,
        out=folder / "run",
        baselines=False,
        settings=SMALL,
    )


@pytest.fixture(scope="module")
def later(first):
    return first.learn(_made(300, 1, turned=True), steps=80)


def test_it_learns_what_is_new_and_tells_what_was_forgotten(first, later):
    result = later.facts["result"]
    assert result["before"]["new"]["accuracy"] < 0.5 < 0.9 < result["after"]["new"]["accuracy"]
    assert result["after"]["old"]["accuracy"] > 0.7
    (finding,) = result["findings"]
    assert finding["title"] == "Gained and forgotten"
    assert {row[0] for row in finding["rows"]} == {"new examples", "old examples"}


def test_the_old_run_is_left_as_it_is_and_the_new_one_lies_beside(first, later):
    assert later.path.name == "run-learn-1" and later.path.parent == first.path.parent
    assert paceline.load(first.path).test == first.test
    assert first.evaluate(_made(200, 9))["accuracy"] > 0.95
    assert (later.path / "report.html").is_file() and beside(later.path).name == "run-learn-2"


def test_drift_opens_the_learning_rate_again_and_says_so(later):
    chosen = {
        entry.name: entry.detail
        for entry in read_ledger(later.path / "ledger.db", kind="decision")
        if entry.source == "learn"
    }
    assert chosen["learning rate"]["chosen"] == "begins its schedule again"
    assert "loss" in chosen["learning rate"]["seen"]["moved"]


def test_what_stays_as_it_was_is_learnt_at_a_small_rate(first, tmp_path):
    same = first.learn(_made(200, 2), steps=10, out=tmp_path / "same")
    assert same.facts["data"]["moved"] == []
    rows = read_ledger(same.path / "ledger.db", kind="decision", name="learning rate")
    assert rows[0].detail["chosen"] == "small and constant"
    assert same.test["accuracy"] > 0.85


def test_a_run_that_learnt_on_learns_on_again_from_what_it_remembers(later, tmp_path):
    again = later.learn(_made(120, 5), steps=10, out=tmp_path / "again")
    assert "memory.safetensors" in again.facts["sha256"]
    assert set(again.facts["result"]["after"]) == {"new", "old"}
    (later.path / "memory.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match="damaged"):
        later.learn(_made(120, 5), steps=10, out=tmp_path / "third")


def test_new_classes_get_outputs_and_old_ones_keep_theirs(first, tmp_path):
    fresh = _made(150, 3)
    fresh["kind"] = "c"
    fresh["width"], fresh["height"] = 2.0, -2.0
    found = first.learn(fresh, steps=60, out=tmp_path / "wider")
    assert found.classes == ["a", "b", "c"] and found.facts["data"]["fresh_classes"] == ["c"]
    assert paceline.load(found.path).predict(fresh.iloc[:5]).tolist() == ["c"] * 5
    assert found.facts["result"]["after"]["old"]["accuracy"] > 0.85


def test_new_categories_are_told(first, tmp_path):
    other = _made(100, 4)
    other["shade"] = "green"
    found = first.learn(other, steps=5, out=tmp_path / "green")
    assert any("categories are new" in note for note in found.facts["data"]["notes"])


def test_without_the_old_data_nothing_guards_and_that_is_told(tmp_path):
    frame = _made(120, 0)
    run = paceline.fit(
        frame,
        target="kind",
        steps=20,
        out=tmp_path / "r",
        baselines=False,
        settings=SMALL,
    )
    found = run.learn(_made(60, 1), steps=5)
    assert any("nothing guards against forgetting" in note for note in found.facts["data"]["notes"])
    assert set(found.facts["result"]["after"]) == {"new"}


@pytest.mark.parametrize(
    ("frame", "settings", "error", "words"),
    [
        (_made(50, 0).drop(columns="kind"), {}, DataError, "no targets"),
        (_made(3, 0), {}, DataError, "at least 5"),
        (_made(50, 0), {"steps": 0}, SettingError, "steps must be at least 1"),
        (_made(50, 0), {"ewc": -1.0}, SettingError, "at least 0"),
        (_made(50, 0).assign(kind=3), {}, DataError, "another kind than before"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(first, tmp_path, frame, settings, error, words):
    with pytest.raises(error, match=words):
        first.learn(frame, out=tmp_path / "no", **settings)
    assert not (tmp_path / "no").exists()


def test_nothing_is_overwritten(first, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(RunError, match="exists already"):
        first.learn(_made(50, 0), out=tmp_path / "there")
    with pytest.raises(RunError, match="exists already"):
        Stream(first, out=tmp_path / "there")


# --- streams


def _lines(frame):
    return [json.dumps(row) + "\n" for row in frame.to_dict("records")]


def test_a_stream_is_tested_on_before_it_is_learnt_from(first, tmp_path):
    stream = Stream(first, chunk=50, out=tmp_path / "s", alerts=["error>0.5", "drift"])
    found = stream.run(_lines(_made(100, 7)) + _lines(_made(400, 8, turned=True)))
    rows = found.facts["result"]["findings"][0]["rows"]
    assert rows[0][2] > 0.8 and rows[2][2] < 0.5 < 0.7 < rows[-1][2]
    assert any("error is" in line for line in stream.fired)
    assert any("the stream has moved" in line for line in stream.fired)


def test_a_stream_that_stops_halfway_keeps_what_was_learnt(first, tmp_path):
    def broken():
        yield from _lines(_made(60, 7))
        yield '{"width": 1.0, "hei'
        raise KeyboardInterrupt

    found = Stream(first, chunk=30, out=tmp_path / "s").run(broken())
    assert found.facts["data"]["examples"] == 60 and found.facts["data"]["left_out"] == 1
    assert paceline.load(found.path).predict(_made(5, 0)).shape == (5,)


def test_lines_that_cannot_be_read_are_left_out_and_named(first, tmp_path):
    lines = ["[1]\n", "\n", *_lines(_made(4, 0)), *_lines(_made(4, 0).drop(columns="kind"))]
    found = Stream(first, chunk=4, out=tmp_path / "s").run(lines)
    why = [each.detail["why"] for each in read_ledger(found.path / "ledger.db", kind="warning")]
    assert any("line 1 is left out: it is no object" in each for each in why)
    assert any("4 of 4 have no 'kind'" in each for each in why)


def test_a_stream_of_nothing_leaves_no_result(first, tmp_path):
    assert Stream(first, out=tmp_path / "s").run([]) is None


def test_the_command_ends_with_3_where_an_alert_fired(first, tmp_path, monkeypatch, capsys):
    text = "".join(_lines(_made(80, 7)))
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    asked = ["learn", str(first.path), "-", "--alert", "share:a>0.1", "--json"]
    assert command([*asked, "--out", str(tmp_path / "s"), "--chunk", "40"]) == 3
    said = capsys.readouterr()
    assert len(json.loads(said.out.splitlines()[-1])["alerts"]) == 2
    assert "alert: share:a is" in said.err


def test_the_command_learns_from_a_file(first, tmp_path, capsys):
    _made(80, 1).to_csv(tmp_path / "more.csv", index=False)
    asked = ["learn", str(first.path), str(tmp_path / "more.csv"), "--steps", "5", "--json"]
    assert command([*asked, "--out", str(tmp_path / "s")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["steps"] == 5
    assert command([*asked, "--alert", "drift"]) == 2


@pytest.mark.parametrize("text", ["error", "eror>1", "share>1", "error>x", "drift>1", ""])
def test_an_alert_of_no_known_form_is_refused(text):
    with pytest.raises(SettingError, match=r"--alert .* write"):
        Alert.read(text)


def test_an_alert_fires_over_or_under_its_bound():
    assert Alert.read("error<0.2").fires({"error": 0.1})
    assert not Alert.read("error<0.2").fires({"loss": 0.1})
    assert Alert.read("share:x<0.2").fires({}) and not Alert.read("share:x>0.2").fires({})
    assert Alert.read("drift").fires({"drift": 1.0}) and not Alert.read("drift").fires({"drift": 0})


@pytest.mark.parametrize("address", ["http://example.org/x", "ftp://127.0.0.1/x", "x", "https://"])
def test_a_webhook_is_https_or_of_this_machine(address):
    with pytest.raises(SettingError, match="--webhook"):
        checked_address(address)
    assert checked_address("https://example.org/x") and checked_address("http://localhost:1/x")


def test_a_webhook_is_told_and_its_failure_is_no_end(first, tmp_path):
    told = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *given):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        stream = Stream(first, alerts=["share:a>0.1"], webhook=address, out=tmp_path / "s")
        stream.run(_lines(_made(40, 7)))
        server.shutdown()
        thread.join()
    assert told[0]["alert"] == "share:a" and told[0]["run"] == "s"
    assert "could not be told" in post(address, {})
    assert alerts.FIRED == 3


# --- the parts


def test_a_reservoir_is_a_fair_sample():
    reservoir, generator = Reservoir(50), torch.Generator().manual_seed(0)
    for start in range(0, 1000, 100):
        numbers = torch.arange(start, start + 100)
        reservoir.take(Encoded(inputs=(numbers,), targets=numbers), generator)
    assert len(reservoir) == 50 and reservoir.seen == 1000
    assert 350 < reservoir.kept.targets.double().mean() < 650
    assert reservoir.kept.inputs[0].tolist() == reservoir.kept.targets.tolist()


def test_the_spring_is_nothing_at_first_and_grows_with_the_square():
    torch.manual_seed(0)
    model, goal = torch.nn.Linear(2, 2), Classification(["a", "b"])
    old = Encoded(inputs=(torch.randn(30, 2),), targets=torch.arange(30) % 2)
    spring = spring_for(model, goal, old, 3.0)
    assert spring.pull(model).item() == 0.0
    slow = torch.zeros_like(model.weight)
    for row in range(30):
        one = rows_of(old, torch.tensor([row]))
        (grad,) = torch.autograd.grad(goal.loss(model(*one.inputs), one.targets), model.weight)
        slow += grad**2 / 30
    torch.testing.assert_close(spring.importance["weight"], slow)
    with torch.no_grad():
        model.weight += 0.5
    assert spring.pull(model).item() == pytest.approx(1.5 * 0.25 * float(slow.sum()), rel=1e-5)


def test_drift_is_noticed_when_a_mean_moves_and_not_before():
    random, drift = np.random.default_rng(0), Drift()
    assert drift.watch({"loss": random.normal(size=500), "x": random.normal(size=500)}) == []
    assert drift.watch({"loss": random.normal(-2, size=200), "x": random.normal(size=200)}) == []
    assert drift.watch({"loss": [], "x": random.normal(2.0, size=200)}) == ["x"]
    assert drift.watch({"loss": [float("nan")]}) == []


def test_wide_inputs_are_watched_by_sixteen_projections():
    found = summaries((torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, 3)))
    assert len(found) == 19 and all(len(each) == 4 for each in found.values())


def test_something_is_learnt_from_and_something_held_out():
    rows, out = divided(5, 0.2, 0)
    assert sorted([*rows.tolist(), *out.tolist()]) == [0, 1, 2, 3, 4] and len(out) == 1
    assert Wish().steps is None


def test_a_new_class_leaves_the_metric_and_the_weights_of_classes_as_they_were(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 4)).astype(np.float32)
    y = np.arange(60) % 2
    x[:, 0] += 3 * y
    run = paceline.fit(
        (x, y),
        steps=10,
        baselines=False,
        out=tmp_path / "first",
        settings={"task.metric": "macro_f1", "task.class_weights": "balanced"},
    )
    later = run.learn(x[:30], np.arange(30) % 3, out=tmp_path / "later", steps=3)
    goal = later.goal
    assert goal.outputs == 3 and goal.primary == "macro_f1"
    assert len(goal.class_weights) == 3 and goal.class_weights[2] == 1.0
    assert later.facts["result"]["cpu_seconds"] > 0
