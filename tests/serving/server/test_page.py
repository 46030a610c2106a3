"""The page at / shows answers in a real browser, and runs nothing that is not its own."""

import html
import re
import shutil
import subprocess
from urllib.parse import urlencode

import pytest

from kerasft.serving.server.requests import RequestLimits

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def several(exported, start):
    folders = map(exported, ("single_label", "token_classification", "question_answering"))
    with start(*folders, request=RequestLimits(text_bytes=1000)) as running:
        yield running


def seen(running, tmp_path, **asked):
    """What the browser has made of the page, once its script has asked."""
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    url = f"http://127.0.0.1:{running.server.rest_port}/#{urlencode(asked)}"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, timeout=300)
    return done.stdout.decode().partition("<script")[0]


def test_the_page_by_itself(several):
    connection = several.http()
    connection.request("GET", "/")
    response = connection.getresponse()
    text = response.read().decode()
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert '"sample": {' in text and "prefers-color-scheme: dark" in text
    assert '"name": "question_answering", "version": 1, "inputs": ["question", "context"]' in text
    # nothing comes from elsewhere
    assert not re.search(r"""src\s*=|href\s*=\s*"(?!/)|url\(|@import|https?://""", text)


def test_labels_have_bars(several, tmp_path):
    page = seen(several, tmp_path, model="single_label", text="goal <b>match</b>")
    assert page.count('class="bar"') == 3 and "<meter" in page
    assert re.search(r'<p id="asked"[^>]*>single_label, version 1<span> · 1 text, \d+ ms</span></p>', page)
    assert 'aria-busy="false"' in page and ">Ask</button>" in page
    assert '<p id="error" role="alert"></p>' in page
    results = several.rest(
        "/v1/models/single_label:classify", {"signature_name": "classify", "examples": [{"text": "goal <b>match</b>"}]}
    )[1]["results"][0]
    scores = [float(score) for score in re.findall(r"<span>(\d\.\d{3})</span>", page)]
    assert scores == pytest.approx(sorted((score for _, score in results), reverse=True), abs=1e-3)


def test_entities_are_highlighted(several, tmp_path):
    text = "\U0001f40d the coach <i>of the bank</i> & the team"
    row = several.rest("/v1/models/token_classification:predict", {"instances": [text]})[1]["predictions"][0]
    page = seen(several, tmp_path, model="token_classification", text=text)
    shown = re.findall(r"<mark>(.*?)<sub>(.*?)</sub></mark>", page)
    assert row["count"] > 0
    assert [(html.unescape(each), kind) for each, kind in shown] == [
        *zip(row["entities"][: row["count"]], row["types"])
    ]
    whole = re.search(r'<div class="text">(.*?)</div>', page, re.DOTALL)[1]
    assert html.unescape(re.sub(r"<sub>.*?</sub>|</?(mark|span)>", "", whole)) == text


def test_an_answer_is_marked_in_its_context(several, tmp_path):
    asked = {"question": "who built it?", "context": "\U0001f40d the mill by the river was built by Anna"}
    row = several.rest("/v1/models/question_answering:predict", {"instances": [asked]})[1]["predictions"][0]
    page = seen(several, tmp_path, model="question_answering", **asked)
    [shown] = re.findall(r"<mark>(.*?)</mark>", page)
    assert html.unescape(shown) == row["answer"] != ""


def test_each_line_is_a_text_in_chinese_too(several, tmp_path):
    page = seen(several, tmp_path, model="single_label", text="goal\n\nthe bank & market", several="", lang="zh")
    articles = re.findall(r"<article>(.*?)</article>", page, re.DOTALL)
    assert [html.unescape(re.search(r'<div class="text">(.*?)</div>', each)[1]) for each in articles] == [
        "goal", "the bank & market",
    ]  # fmt: skip
    assert all(each.count('class="bar"') == 3 for each in articles)
    assert 'lang="zh-CN"' in page and "single_label，版本 1" in page and "2 条文本" in page and ">提交</button>" in page


def test_what_goes_wrong_is_shown(several, tmp_path):
    page = seen(several, tmp_path, model="single_label", text="a" * 2000)
    assert "a text of 2000 bytes" in re.search(r'<p id="error" role="alert">(.*?)</p>', page)[1]
