import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from paddle_int8.flows.cli.terminal import print_release
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.evidence import Correction, SpeedRatio
from paddle_int8.tasks.contracts.verdict import EarlierLooks, Looks, Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.tracking.connection import redact
from paddle_int8.tasks.tracking.files import audit_csv
from paddle_int8.tasks.tracking.report import render_html, render_markdown
from paddle_int8.tasks.tracking.schema import summary_json, wrap
from paddle_int8.tasks.tracking.summary import audit_sentence, headline, percent, signed
from tests.release_factory import build_config, build_host, build_ratio, build_release, build_scales

WHY = ("Convolutions take 96 % of the time.",)
ATTACK = '<script>alert("x")</script><img src=http://evil.example/p.png>'


class Page(HTMLParser):
    """The tags, the addresses they load, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(build_release(), build_config(), WHY, build_scales())


def without_candidates() -> Release:
    return dataclasses.replace(build_release(outcome=Outcome.REJECTED), evidence=(), verdicts=(), chosen=None)


def test_report_says_what_was_left_out_of_the_data() -> None:
    release, note = build_release(), "left out: comment lines (2): line 1, line 7"
    noted = dataclasses.replace(release, calibration=dataclasses.replace(release.calibration, notes=(note,)))
    assert note in Page(render_html(noted, build_config(), WHY, {}, plots={})).text
    assert f"## Calibration data\n\n- {note}\n" in render_markdown(noted, WHY)
    assert "## Validation data" not in render_markdown(noted, WHY)


def test_html_loads_nothing_and_runs_nothing(page: str) -> None:
    parsed = Page(page)
    assert {"script", "link", "iframe", "object", "form"}.isdisjoint(parsed.tags)
    assert parsed.addresses
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in parsed.addresses)
    assert not re.search(r"@import|url\(", page)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_html_says_the_verdict_before_anything_else(outcome: Outcome) -> None:
    release = build_release(outcome=outcome)
    parsed = Page(render_html(release, build_config(), WHY, {}, plots={}))
    said = headline(release)
    assert parsed.text.index(said.word) < parsed.text.index(said.sentence) < parsed.text.index("Why")
    assert parsed.tags.index("h1") < parsed.tags.index("table")


def test_html_holds_the_published_table_of_the_chosen_candidate(page: str) -> None:
    assert "hist-offline chosen ✓ approved 98.42 98.32 −0.10 99.82 99.87 +0.05" in Page(page).text


@pytest.mark.parametrize(
    "figure",
    [
        pytest.param("26 of 28 compute primitives ran in INT8, 85 % of compute time.", id="audit"),
        pytest.param("On the first 4 samples it is 25.2 dB, and", id="simulation"),
        pytest.param("1x3x224x224 -> 1x32x112x112", id="layer that stayed FP32"),
        pytest.param("not run: this CPU has no BF16 instructions", id="skipped reference"),
        pytest.param("quantize still running after 600 s", id="failed candidate"),
        pytest.param("calibration_samples: 64", id="configuration"),
        pytest.param("Convolutions take 96 % of the time.", id="why"),
        pytest.param("a" * 64, id="model digest"),
        pytest.param('mlflow.pyfunc.load_model("models:/digits-mobilenet-v1@challenger")', id="next step"),
    ],
)
def test_html_holds(page: str, figure: str) -> None:
    assert figure in Page(page).text


def test_html_leads_to_each_of_its_sections(page: str) -> None:
    places = re.findall(r'<h2 id="([^"]+)"', page)
    assert [address[1:] for address in Page(page).addresses if address.startswith("#")] == places
    assert {"candidates", "accuracy", "provenance"} <= set(places)


def test_html_counts_the_criteria_by_their_outcome() -> None:
    shown = Page(render_html(build_release(outcome=Outcome.REJECTED), build_config(), WHY, {}, plots={})).text
    assert re.search(r"\d+ criteria: \d rejected, (\d inconclusive, )?\d+ approved\.", shown)


def test_html_says_how_far_the_baseline_is_from_native(page: str) -> None:
    assert (
        "on 16 calibration samples: output logits differs by at most 3e-05 % of its greatest value (131 dB)."
        in page
    )


def test_html_escapes_every_foreign_text() -> None:
    release = build_release(name=ATTACK, outcome=Outcome.REJECTED)
    failed = (dataclasses.replace(release.failed[0], error=ATTACK),)
    host = dataclasses.replace(release.host, cpu_model=ATTACK, warnings=(ATTACK,))
    source = dataclasses.replace(release.model, source=ATTACK)
    hostile = dataclasses.replace(release, failed=failed, host=host, model=source)
    page = render_html(hostile, build_config(), (ATTACK,), {f"{ATTACK}-qdq": {ATTACK: 1.0}})
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert all(address.startswith(("data:", "#")) for address in parsed.addresses)
    assert page.count("&lt;script&gt;") >= 6


def test_html_without_a_measured_candidate_says_so_and_shows_the_failure() -> None:
    text = Page(render_html(without_candidates(), build_config(), (), {})).text
    assert "No candidate could be built and measured." in text
    assert "quantize still running after 600 s" in text


def test_html_hides_credentials_of_the_tracking_uri() -> None:
    release = dataclasses.replace(
        build_release(run_id="r1"), tracking_uri="https://me:hunter2@mlflow.example"
    )
    page = render_html(release, build_config(), WHY, {}, plots={})
    assert "hunter2" not in page
    assert "***@mlflow.example" in page


def outrun(ratio: SpeedRatio | None) -> Release:
    """An approved release whose chosen INT8 model is `ratio` times as fast as Paddle's own FP32."""
    release = build_release()
    evidence = tuple(
        dataclasses.replace(
            item,
            per_isa=tuple(
                dataclasses.replace(each, latency=dataclasses.replace(each.latency, native_speedup=ratio))
                for each in item.per_isa
            ),
        )
        for item in release.evidence
    )
    return dataclasses.replace(release, evidence=evidence)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        pytest.param(build_ratio(0.8), "Paddle's own FP32, without oneDNN, is faster", id="faster"),
        pytest.param(build_ratio(0.98), "Paddle's own FP32, without oneDNN, may be faster", id="about equal"),
        pytest.param(build_ratio(1.01), "", id="slower"),
        pytest.param(None, "", id="not timed"),
    ],
)
def test_native_fp32_that_is_faster_stands_beside_the_approval(ratio: SpeedRatio | None, said: str) -> None:
    release = outrun(ratio)
    assert headline(release).beside.startswith(said)
    assert bool(headline(release).beside) == bool(said)
    printed = io.StringIO()
    print_release(Console(file=printed, width=300), release)
    end = printed.getvalue().partition("APPROVED")[2]
    html = Page(render_html(release, build_config(), WHY, {}, plots={})).text
    markdown = render_markdown(release, WHY)
    for text in (end, html.partition("Next")[0], markdown.partition("**Next:**")[0]):
        assert ("without oneDNN" in text) == bool(said)
        assert said in text


def test_report_says_what_else_the_host_did_while_latency_was_timed() -> None:
    release = build_release()
    for text in (render_markdown(release, WHY), render_html(release, build_config(), WHY, {}, plots={})):
        assert "timed in 5 processes, the host was taken for 2 % of the time (other processes 2 %)" in text
        assert "The interval of the speed-up is 1.0 % wider either way for it." in text


def test_criteria_that_failed_come_first() -> None:
    markdown = render_markdown(build_release(outcome=Outcome.REJECTED), WHY)
    marks = re.findall(r"^- ([✗?✓]) \*\*", markdown, flags=re.MULTILINE)
    assert marks == sorted(marks, key="✗?✓".index)
    assert {"✗", "?", "✓"} == set(marks)


@pytest.mark.parametrize(
    ("outcome", "first_line"),
    [
        (Outcome.APPROVED, "# Approved: digits-mobilenet-v1"),
        (Outcome.REJECTED, "# Rejected: digits-mobilenet-v1"),
        (Outcome.INCONCLUSIVE, "# Inconclusive: digits-mobilenet-v1"),
    ],
)
def test_markdown_begins_with_the_verdict(outcome: Outcome, first_line: str) -> None:
    assert render_markdown(build_release(outcome=outcome), WHY).splitlines()[0] == first_line


def test_markdown_tables_keep_their_columns_whatever_the_text() -> None:
    release = build_release(name="a | b\n# c <b>")
    failed = (dataclasses.replace(release.failed[0], error="x | y\n| z <script>"),)
    markdown = render_markdown(dataclasses.replace(release, failed=failed), WHY)
    assert "<" not in markdown
    tables = re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1


def test_report_says_of_every_output_what_it_was_taken_for_and_what_it_keeps() -> None:
    release = build_release()
    for said in (render_markdown(release, WHY), render_html(release, build_config(), WHY, {})):
        for words in ("scores", "classes", "the labels fit its 10 columns", "Top-1, Top-5", "24.1"):
            assert words in said


def test_markdown_without_a_measured_candidate_shows_the_failure() -> None:
    markdown = render_markdown(without_candidates(), ())
    assert "No candidate could be built and measured." in markdown
    assert "| mse-offline | quantize |" in markdown


def test_headline_of_an_inconclusive_release_says_how_many_samples() -> None:
    assert "8,400 samples" in headline(build_release(outcome=Outcome.INCONCLUSIVE)).next_step


def test_headline_of_a_rejected_release_gives_the_criterion_and_each_remedy_once() -> None:
    said = headline(build_release(outcome=Outcome.REJECTED))
    assert "Accuracy top1 on avx512_core_vnni: found drop 4.45 pp" in said.sentence
    assert said.next_step.count("another algorithm") == 1


def test_headline_ignores_a_verdict_on_other_bytes() -> None:
    release = build_release(outcome=Outcome.REJECTED)
    stale = tuple(dataclasses.replace(verdict, digest="0" * 64) for verdict in release.verdicts)
    said = headline(dataclasses.replace(release, verdicts=stale))
    assert said.word == "Rejected"
    assert "accuracy top1" not in said.sentence.lower()


def test_audit_sentence_of_convolutions_alone_calls_them_so() -> None:
    item = build_release().evidence[0].per_isa[0]
    shares = tuple(share for share in item.audit.shares if share.kind == "convolution")
    audit = dataclasses.replace(item.audit, shares=shares, compute_primitives=27, int8_primitives=26)
    assert audit_sentence(dataclasses.replace(item, audit=audit)).startswith("26 of 27 convolutions ran")


def test_audit_sentence_counts_what_ran_outside_onednn() -> None:
    item = build_release().evidence[0].per_isa[0]
    shares = tuple(share for share in item.audit.shares if share.kind == "convolution")
    audit = dataclasses.replace(
        item.audit, shares=shares, compute_primitives=27, int8_primitives=26, outside_onednn=4
    )
    assert audit_sentence(dataclasses.replace(item, audit=audit)) == (
        "26 of 31 compute operators ran in INT8, 85 % of compute time; "
        "4 ran outside oneDNN, in Paddle's own FP32 kernels."
    )
    assert "outside_onednn,,fp32,,4," in audit_csv(audit)
    assert "outside_onednn" not in audit_csv(item.audit)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (0.004, "0.4 %"),
        (0.1, "10 %"),
        (0.854, "85 %"),
        (0.9949, "99.5 %"),
        (0.9996, "over 99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_percent_never_rounds_to_all(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "+0.50"), (-0.5, "−0.50"), (-0.001, "0.00"), (0.0, "0.00")]
)
def test_signed_number(value: float, text: str) -> None:
    assert signed(value) == text


def test_summary_json_names_its_schema_and_leaves_raw_timings_out() -> None:
    document = summary_json(build_release(run_id="r1"))
    assert document["schema"] == "paddle-int8/release/1"
    text = json.dumps(document, allow_nan=False)
    assert "samples_ms" not in text
    assert len(text) < 200_000


def test_summary_json_gives_each_candidate_its_verdict() -> None:
    release = build_release()
    outcomes = [item["verdict"]["outcome"] for item in summary_json(release)["candidates"]]
    assert outcomes == [verdict.outcome.value for verdict in release.verdicts]


def test_summary_json_of_a_candidate_without_verdict_has_null() -> None:
    release = dataclasses.replace(build_release(), verdicts=())
    assert [item["verdict"] for item in summary_json(release)["candidates"]] == [None] * 6


def test_summary_json_writes_what_is_not_finite_as_null() -> None:
    release = build_release()
    first = release.evidence[0]
    native = dataclasses.replace(first.per_isa[0], sqnr_db=float("inf"))
    evidence = (dataclasses.replace(first, per_isa=(native,)), *release.evidence[1:])
    document = summary_json(dataclasses.replace(release, evidence=evidence))
    assert document["candidates"][0]["per_isa"][0]["sqnr_db"] is None


def test_summary_json_hides_credentials() -> None:
    release = dataclasses.replace(build_release(), tracking_uri="postgresql://me:hunter2@db/mlflow")
    assert "hunter2" not in json.dumps(summary_json(release))


def test_wrap_puts_the_schema_before_the_result() -> None:
    host: HostProfile = build_host()
    assert list(wrap("hardware", host))[:2] == ["schema", "hostname"]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        pytest.param("https://me:pw@host/x", "https://***@host/x", id="user and password"),
        pytest.param(
            "postgresql+psycopg2://u:p@ss@db/x", "postgresql+psycopg2://***@db/x", id="at sign in it"
        ),
        pytest.param("mysql://h/db?password=pw&x=1", "mysql://h/db?password=***&x=1", id="in the query"),
        pytest.param("api_key: 'abc'", "api_key: '***'", id="in YAML"),
        pytest.param(
            "sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db", id="path with an at sign"
        ),
        pytest.param("http://host/a@b", "http://host/a@b", id="at sign in the path"),
        pytest.param("max_tokens: 5", "max_tokens: 5", id="not a secret"),
    ],
)
def test_redact(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_html_without_an_output_that_can_be_compared_leaves_out_the_agreement() -> None:
    release = build_release()
    uncompared = tuple(
        dataclasses.replace(
            item, per_isa=tuple(dataclasses.replace(each, agreement=None) for each in item.per_isa)
        )
        for item in release.evidence
    )
    silent = dataclasses.replace(release, evidence=uncompared)
    text = Page(render_html(silent, build_config(), WHY, {}, plots={})).text
    assert "The agreement of their answers" not in text
    assert "The signal-to-quantization-noise ratio (SQNR) is" in text


def test_report_says_how_often_the_samples_were_looked_at_and_what_that_cost() -> None:
    release = build_release()
    item = next(each for each in release.evidence if each.candidate == release.chosen)
    first = item.per_isa[0]
    metric = dataclasses.replace(
        first.metrics[0],
        drop_upper_pp=0.76,
        correction=Correction(candidates=6, confidence=0.991, alone_upper_pp=0.52),
    )
    corrected = dataclasses.replace(
        item, per_isa=(dataclasses.replace(first, metrics=(metric, *first.metrics[1:])), *item.per_isa[1:])
    )
    earlier = EarlierLooks(releases=19, candidates=114, error=0.95)
    looked = dataclasses.replace(
        release,
        evidence=tuple(corrected if each is item else each for each in release.evidence),
        looks=Looks(candidates=6, error=0.05, earlier=earlier),
    )
    for page in (render_html(looked, build_config(), WHY, {}), render_markdown(looked, WHY)):
        for said in (
            "6 candidates were tested on the validation samples",
            "at most 5 %",
            "Top-1 on avx512_core_vnni from 0.52 to 0.76 points (at 99.1 % instead of 95 %)",
            "19 other releases tested 114 candidates on the same samples before",
            "at most 100 %",
            "The validation samples are used up",
        ):
            assert said in page


def test_report_of_a_release_that_counted_nothing_has_no_looks() -> None:
    assert "Looks at the validation samples" not in render_markdown(build_release(), WHY)
