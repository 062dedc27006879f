"""Texts as their owners publish them: small sets in the real formats, and broken files told by file and line."""

from __future__ import annotations

import gzip
import json

import pytest

from manylabel import data
from manylabel.errors import ManyLabelError


def told(rows, names):
    """Texts with the names of their labels."""
    Y = rows.Y.dense().numpy().astype(bool)
    return [(text, [names[j] for j in row.nonzero()[0]]) for text, row in zip(rows.X.values, Y, strict=True)]


def refuses(folder, message):
    with pytest.raises(ManyLabelError, match=message):
        data.load(folder)


# --- RCV1-v2 ---

QRELS = "E11 2286 1\nECAT 2286 1\nM11 2286 1\nCCAT 2287 1\nCCAT 26151 1\nM11 26151 1\n"


@pytest.fixture
def rcv1(write, tmp_path):
    write("rcv1-v2.topics.qrels", QRELS)
    write(
        "lyrl2004_tokens_train.dat",
        ".I 2286\n.W\nrecov recov recov\nexpect excit\n\n.I 2287\n.W\nfirm euro\n\n",
    )
    write("lyrl2004_tokens_test_pt0.dat.gz", gzip.compress(b".I 26151\n.W\ntoken b\xe9ta\n"))
    return tmp_path


def test_rcv1(rcv1):
    found = data.load(rcv1)
    assert found.label_names == ("CCAT", "E11", "ECAT", "M11")
    assert told(found.train, found.label_names) == [
        ("recov recov recov expect excit", ["E11", "ECAT", "M11"]),
        ("firm euro", ["CCAT"]),
    ]
    assert told(found.test, found.label_names) == [("token béta", ["CCAT", "M11"])]


WRONG_RCV1 = {
    "no topics": (".I 9\n.W\na\n", r"train\.dat, line 1: expected a story with topics, but got '9'"),
    "words before .W": (".I 2286\nrecov\n", r"train\.dat, line 2: expected `\.I` and the number of a story"),
    "words before .I": ("recov\n", r"train\.dat, line 1: expected `\.I` and the number of a story"),
}


@pytest.mark.parametrize("what", WRONG_RCV1)
def test_broken_rcv1_is_told_by_file_and_line(rcv1, what):
    content, message = WRONG_RCV1[what]
    (rcv1 / "lyrl2004_tokens_train.dat").write_text(content)
    refuses(rcv1, message)
    (rcv1 / "rcv1-v2.topics.qrels").write_text("E11 2286 1\nE11 2286\n")
    refuses(
        rcv1,
        r"rcv1-v2\.topics\.qrels, line 2: expected a topic, the number of a story, and 1, but got 'E11 2286'",
    )


# --- AAPD ---


@pytest.fixture
def aapd(write, tmp_path):
    for part, texts, labels in (
        ("train", "the first\nthe second\n", "cs.it math.it\nstat.ml\n"),
        ("val", "a third\n", "cs.it\n"),
        ("test", "a fourth\n", "math.it\n"),
    ):
        write(f"text_{part}", texts)
        write(f"label_{part}", labels)
    return tmp_path


def test_aapd(aapd, write):
    found = data.load(aapd)
    assert found.label_names == ("cs.it", "math.it", "stat.ml")
    assert told(found.train, found.label_names) == [
        ("the first", ["cs.it", "math.it"]),
        ("the second", ["stat.ml"]),
        ("a third", ["cs.it"]),
    ]
    assert found.validation_rows.tolist() == [2]
    assert told(found.test, found.label_names) == [("a fourth", ["math.it"])]
    write("label_to_index.json", json.dumps({"cs.it": 1, "stat.ml": 0, "math.it": 2}))
    assert data.load(aapd).label_names == ("stat.ml", "cs.it", "math.it")


def test_broken_aapd_is_told_by_file_and_line(aapd):
    (aapd / "label_test").write_text("")
    refuses(aapd, r"label_test, line 1: expected labels of line 1 of text_test, but got none")
    (aapd / "label_test").write_text("cs.it\ncs.it\n")
    refuses(aapd, r"text_test: expected one text for each of 2 lines of label_test, but got 1")
    (aapd / "label_test").unlink()
    refuses(aapd, "expected the file label_test beside text_test, but got none")
    (aapd / "label_test").write_text("cs.it\n")
    (aapd / "label_to_index.json").write_text('{"cs.it": 0}')
    refuses(aapd, r"label_to_index\.json: expected a number for every label, but got none for 'math\.it'")
    (aapd / "label_to_index.json").write_text("[]")
    refuses(aapd, r"label_to_index\.json: expected the number of each label as a JSON object")
    (aapd / "text_val").write_bytes(b"a\n\xff\n")
    refuses(aapd, r"text_val, line 2: expected text in UTF-8")


# --- Blurb Genre Collection ---

BOOK = """<book date="2018-08-18" xml:lang="en">
<title>The {n}. New &amp; Old</title>
<body>A blurb of
two lines.</body>
<copyright>(c) Penguin Random House</copyright>
<metadata>
<topics>
<d0>Fiction</d0><d1>{genre}</d1><d1>Women&#8217;s Fiction</d1>
</topics>
<author>A. Body</author>
</metadata>
</book>
"""


@pytest.fixture
def bgc(write, tmp_path):
    for part, rows in (("train", (1, 2)), ("dev", (3,)), ("test", (4,))):
        books = [BOOK.format(n=n, genre=("Poetry", "Mystery")[n % 2]) for n in rows]
        write(f"BlurbGenreCollection_EN_{part}.txt", "\n".join(books))
    write("hierarchy.txt", "Fiction\tMystery\n")
    return tmp_path


def test_bgc(bgc):
    found = data.load(bgc)
    assert found.label_names == ("Fiction", "Mystery", "Poetry", "Women\u2019s Fiction")
    assert told(found.test, found.label_names) == [
        ("The 4. New & Old\nA blurb of\ntwo lines.", ["Fiction", "Poetry", "Women\u2019s Fiction"])
    ]
    assert len(found.train) == 3
    assert found.validation_rows.tolist() == [2]


WRONG_BGC = {
    "no topics": (("<topics>", "<topic>"), r"test\.txt, line 1: expected a book with a body and topics"),
    "no end": (
        ("</book>", ""),
        r"test\.txt, line 1: expected </book> behind a book, but got the end of the file",
    ),
    "text between": (("<book", "books\n<book"), r"test\.txt, line 1: expected <book>, but got 'books'"),
    "two begin": (("</book>", "<book>"), r"test\.txt, line 1: expected </book> before the next book"),
}


@pytest.mark.parametrize("what", WRONG_BGC)
def test_broken_bgc_is_told_by_file_and_line(bgc, what):
    (old, new), message = WRONG_BGC[what]
    path = bgc / "BlurbGenreCollection_EN_test.txt"
    path.write_text(path.read_text().replace(old, new))
    refuses(bgc, message)


# --- UK-LEX, EURLEX57K ---


def law(part, body, labels, **more):
    return json.dumps({"id": 1, "body": body, "labels": labels, "year": 2001, "data_type": part} | more)


def test_uklex(write, tmp_path):
    lines = [
        law("train", "first", ["TAX", "EU"]),
        law("dev", "second", ["TAX"]),
        law("test", "third", ["EU"], title="An Act"),
        law("train", "fourth", []),
    ]
    path = write("uk-lex18.jsonl", "\n".join(lines))
    found = data.load(tmp_path)
    assert told(found.train, found.label_names) == [
        ("first", ["EU", "TAX"]),
        ("fourth", []),
        ("second", ["TAX"]),
    ]
    assert found.validation_rows.tolist() == [2]
    assert told(found.test, found.label_names) == [("An Act\nthird", ["EU"])]
    for wrong in ('{"body": "a"}', law("later", "a", []), law("train", 3, []), law("train", "a", "TAX"), "{"):
        path.write_text("\n".join([lines[0], wrong]))
        refuses(tmp_path, r'uk-lex18\.jsonl, line 2: expected \{"body": "\.\.\."')
    path.write_text(lines[2])
    refuses(tmp_path, "expected laws of the part 'train', but got none")


@pytest.mark.parametrize("sub", ["", "dataset/"])
def test_eurlex(write, tmp_path, sub):
    for part, number, concepts in (
        ("train", 1, ["192", "2356"]),
        ("train", 2, []),
        ("dev", 3, ["192"]),
        ("test", 4, ["560"]),
    ):
        content = {
            "celex_id": f"3201{number}",
            "concepts": concepts,
            "title": f"Law {number}",
            "header": "THE COMMISSION",
            "recitals": None,
            "main_body": ["Article 1", " "],
        }
        write(f"{sub}{part}/3201{number}.json", json.dumps(content))
    found = data.load(tmp_path)
    assert found.label_names == ("192", "2356", "560")
    assert told(found.train, found.label_names)[0] == ("Law 1\nTHE COMMISSION\nArticle 1", ["192", "2356"])
    assert found.validation_rows.tolist() == [2]
    assert len(found.test) == 1
    for wrong in ("{", '{"concepts": "1"}', '{"title": "a"}', '{"concepts": [], "title": 3}'):
        (tmp_path / sub / "test" / "32014.json").write_text(wrong)
        refuses(tmp_path, r'32014\.json: expected a law as \{"concepts"')


# --- Reuters-21578 ---


def story(topics, text, split="TRAIN", has_topics="YES"):
    marks = "".join(f"<D>{topic}</D>" for topic in topics)
    return (
        f'<REUTERS TOPICS="{has_topics}" LEWISSPLIT="{split}" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">\n'
        f"<DATE>26-FEB-1987</DATE>\n<TOPICS>{marks}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n{text}\n</REUTERS>\n"
    )


BRIEF = '<TEXT TYPE="BRIEF">&#2;\n<TITLE>GOLD UP &lt;X></TITLE>\n</TEXT>'
WHOLE = """<TEXT>&#2;
<TITLE>WHEAT</TITLE>
<DATELINE>ROME, Feb 26 - </DATELINE><BODY>Wheat &amp; rye.
 Reuter
&#3;</BODY></TEXT>"""
UNPROCESSED = '<TEXT TYPE="UNPROC">&#2;\nRAW LINES\n&#3;\n</TEXT>'


@pytest.fixture
def reuters(write, tmp_path):
    heading = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'
    first = [
        story(["gold"], BRIEF),
        story(["wheat", "gold"], WHOLE),
        story(["wheat"], WHOLE, split="NOT-USED"),
        story([], WHOLE),
        story(["wheat"], WHOLE, has_topics="NO"),
        story(["rare"], WHOLE),
    ]
    write("reut2-000.sgm", heading + "".join(first))
    write("reut2-001.sgm", heading + story(["gold", "wheat", "other"], UNPROCESSED, split="TEST"))
    return tmp_path


def test_reuters(reuters):
    found = data.load(reuters)
    assert found.label_names == ("gold", "wheat")
    assert told(found.train, found.label_names) == [
        ("GOLD UP <X>", ["gold"]),
        ("WHEAT\nWheat & rye.", ["gold", "wheat"]),
    ]
    assert told(found.test, found.label_names) == [("RAW LINES", ["gold", "wheat"])]
    assert "2 stories of ModApte without one of the 2 topics of both parts are left out." in found.remarks


def test_broken_reuters_is_told_by_file_and_line(reuters):
    path = reuters / "reut2-001.sgm"
    text = path.read_text()
    for old, new, message in (
        ("</REUTERS>", "", r"reut2-001\.sgm, line 2: expected </REUTERS> behind a story"),
        (
            "<REUTERS",
            "<REUTERS A>\n<REUTERS",
            r"reut2-001\.sgm, line 2: expected a story marked TOPICS and LEWISSPLIT",
        ),
        ('LEWISSPLIT="TEST"', "", r"reut2-001\.sgm, line 2: expected a story marked TOPICS and LEWISSPLIT"),
        ("<TEXT", "<TEXTS", r"reut2-001\.sgm, line 2: expected a story with a TEXT"),
        ("<D>gold</D><D>wheat</D>", "", "expected topics that occur in both parts of ModApte, but got none"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        refuses(reuters, message)


# --- GoEmotions ---


@pytest.fixture
def goemotions(write, tmp_path):
    write("emotions.txt", "admiration\namusement\nneutral\n")
    write("train.tsv", 'My "favourite" food\t2\teebbqej\nHa, good\t0,1\ted00q6i\n')
    write("dev.tsv", "Is this?\t2\teczgv1o\n")
    write("test.tsv", "I\u2019m really sorry\t1\teecwqtt\n")
    return tmp_path


def test_goemotions(goemotions):
    found = data.load(goemotions)
    assert found.label_names == ("admiration", "amusement", "neutral")
    assert told(found.train, found.label_names) == [
        ('My "favourite" food', ["neutral"]),
        ("Ha, good", ["admiration", "amusement"]),
        ("Is this?", ["neutral"]),
    ]
    assert found.validation_rows.tolist() == [2]
    assert told(found.test, found.label_names) == [("I\u2019m really sorry", ["amusement"])]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("text\t3\tid", "expected numbers of emotions from 0 to 2, but got '3'"),
        ("text\t\tid", "expected numbers of emotions from 0 to 2, but got ''"),
        ("text\t1", "expected TEXT<TAB>NUMBER,NUMBER<TAB>ID, but got"),
    ],
)
def test_broken_goemotions_is_told_by_file_and_line(goemotions, line, message):
    (goemotions / "dev.tsv").write_text(f"a\t1\tb\n{line}\n")
    refuses(goemotions, rf"dev\.tsv, line 2: {message}")


def test_no_labels_at_all_are_refused(write, tmp_path):
    write("uk-lex18.jsonl", "\n".join(law(part, "a", []) for part in ("train", "test")))
    refuses(tmp_path, "expected documents with labels, but got none")
