"""The table of a study."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from scipy import stats
from tests.study.analysis.test_statistics import results

from manylabel import methods
from manylabel.methods.recipe import Expected
from manylabel.printable import printable
from manylabel.study.analysis.latex import in_latex, latex_table
from manylabel.study.analysis.results import read_study
from manylabel.study.analysis.statistics import paired_p_value
from manylabel.study.analysis.table_layout import layout
from manylabel.study.analysis.tables import (
    Cell,
    Table,
    comparison_table,
    expectation,
    in_markdown,
    results_table,
    signed,
)
from manylabel.study.folder import StudyFolder

SCORES = {"bce": [(0.5, 0.4), (0.6, 0.4)], "mulsupcon": [(0.7, 0.3), (0.8, 0.3)]}


def text_of(table: Table, width: int = 160) -> str:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(layout(table, width))
    return capture.get()


def test_rows_are_methods_and_the_best_of_each_column_is_marked() -> None:
    table = results_table(results(**SCORES), "digits")
    assert table.headings == ("method", "mAP", "macro-F1", "training time")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["bce", "0.550 ± 0.071", "0.400 ± 0.000", "10.5 s ± 0.7 s"],
        ["mulsupcon", "0.750 ± 0.071", "0.300 ± 0.000", "10.5 s ± 0.7 s"],
    ]
    assert [[cell.best for cell in row] for row in table.rows] == [
        [False, False, True, False],
        [False, True, False, False],
    ]


def test_a_single_method_is_not_called_best() -> None:
    table = results_table(results(bce=[(0.5, 0.4)]), "digits")
    assert not any(cell.best for row in table.rows for cell in row)


def test_equal_methods_are_both_best() -> None:
    table = results_table(results(a=[(0.5, 0.4)], b=[(0.5, 0.3)]), "digits")
    assert [row[1].best for row in table.rows] == [True, True]


def test_the_oracle_is_marked_wherever_it_chose_a_threshold() -> None:
    table = results_table(results("oracle", **SCORES), "digits")
    assert table.headings == ("method", "mAP", "macro-F1 (oracle)", "training time")
    assert "oracle protocol" in table.title
    differences = comparison_table(results("oracle", **SCORES))
    assert differences is not None
    assert [row[1].text for row in differences.rows] == ["mAP", "macro-F1 (oracle)"]


def test_terminal_table_shows_every_cell(study: StudyFolder) -> None:
    table = results_table(read_study(study, "tuned"), "tiny")
    text = text_of(table)
    assert "tiny, 2 seeds, tuned protocol" in text
    assert all(cell.text in text for row in table.rows for cell in row)


def test_narrow_terminals_cut_no_heading_and_no_number(study: StudyFolder) -> None:
    table = results_table(read_study(study, "tuned"), "tiny")
    text = text_of(table, width=80)
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    words = [
        word for cells in (table.headings, *([c.text for c in row] for row in table.rows)) for word in cells
    ]
    assert all(part in text for word in words for part in word.split())


def test_differences_count_won_tied_and_lost_seeds() -> None:
    table = comparison_table(results(**SCORES))
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["mulsupcon minus bce", "mAP", "+0.200", "+0.200 to +0.200", "2 / 0 / 0"],
        ["mulsupcon minus bce", "macro-F1", "-0.100", "-0.100 to -0.100", "0 / 0 / 2"],
    ]
    assert comparison_table(results(bce=[(0.5, 0.4)])) is None


def test_expectation_names_data_protocol_and_minutes() -> None:
    values = {"macro_f1": (0.48, 0.01)}
    expected = Expected(data="yeast", protocol="oracle", seeds=3, minutes=1.5, values=values)
    assert expectation(expected) == (
        "yeast, 3 seeds, oracle protocol: macro-F1 (oracle) 0.480 ± 0.010 (1.5 minutes a seed on one core)"
    )


def test_every_shipped_expectation_can_be_printed() -> None:
    for name in methods.names():
        for expected in methods.get(name).recipe.expected:
            assert expected.data in expectation(expected)


def test_a_table_in_markdown_marks_the_best_and_aligns_numbers() -> None:
    rows = ((Cell("a|b"), Cell("x"), Cell("0.5", best=True)),)
    assert Table("", ("method", "metric", "value"), rows, names=2).markdown().splitlines() == [
        "| method | metric | value |",
        "| --- | --- | ---: |",
        "| a\\|b | x | **0.5** |",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mulsupcon[pretrain.temperature=0.2]", "mulsupcon[pretrain.temperature=0.2]"),
        ("my_data", "my_data"),
        ("_x_", "\\_x\\_"),
        ("<b>*a* `c` $5|", "\\<b>\\*a\\* \\`c\\` \\$5\\|"),
        ("a\nb", "a\\\\nb"),
        ("__init__", "\\_\\_init\\_\\_"),
        ("[x](http://y)", "[x\\](http\\://y)"),
        ("![x][y]: ~z~ #", "![x\\][y\\]: \\~z\\~ \\#"),
        ("www.x.org", "www\\.x.org"),
    ],
)
def test_names_mean_nothing_to_markdown(text: str, shown: str) -> None:
    assert in_markdown(text).replace("\\\\n", "\\\\n") == shown
    assert Table("", (text,), ((Cell(text, best=True),),)).markdown().splitlines() == [
        f"| {in_markdown(text)} |",
        "| --- |",
        f"| **{in_markdown(text)}** |",
    ]


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            ["](", "![", "][", "**", "__", "~~", "<b>", "&amp;", "|", "`", "\\", "http://", " #", "--"]
        ),
        st.sampled_from(
            ["\\input{x}", "%", "''", ",,", "$", "^^41", "é", "ǟ", "中", "ß", "π", "\u202e", "\U0001f600"]
        ),
        st.characters(),
    ),
    max_size=12,
).map("".join)


def words(text: str) -> str:
    """A text as a page shows it: white space of any length as one space."""
    return " ".join(text.split())


@settings(deadline=None)
@given(HOSTILE)
def test_any_name_is_the_same_text_in_a_paragraph_a_heading_a_cell_and_below_a_picture(name: str) -> None:
    shown, reader = printable(name), MarkdownIt("commonmark").enable(["table", "strikethrough"])
    table = Table("", ("a",), ((Cell(name),), (Cell("x", best=True),)))
    text = f"# On {in_markdown(name)}\n\nOn {in_markdown(name)}.\n\n{table.markdown()}\n\n"
    text += f"![of {in_markdown(name, between_brackets=True)}](picture.svg)"
    parts = [part for part in reader.parse(text) if part.type == "inline"]
    kinds = [[child.type for child in part.children or ()] for part in parts]
    assert {kind for each in kinds[:-2] for kind in each} <= {"text"}
    assert kinds[-1] == ["image"]
    heading, paragraph, _, cell, _, _ = ["".join(c.content for c in p.children or ()) for p in parts]
    picture = "".join(child.content for child in parts[-1].children[0].children)  # type: ignore[index, union-attr]
    assert words(heading) == words(f"On {shown}")
    assert words(paragraph) == words(f"On {shown}.")
    assert words(cell) == words(shown)
    assert words(picture) == words(f"of {shown}")


COMMANDS = re.compile(
    r"\\(text(backslash|asciicircum|asciitilde|less|greater|bar|asciigrave|endash|emdash"
    r"|quote(left|right)|quotedbl(left|right))|ldots|ss|ae|AE|oe|OE|[oOlLi])\{\}"
    r"|\\symbol\{34\}|\$\\(pm|chi)\$|\$\^2\$|\\[{}$&#%_]|\{[\[*]\}"
)
ACCENTED = re.compile(r"\\([`'^~=.\"uvHrdcb])\{([A-Za-z]|\\[`'^~=.\"uvHrdcb]\{[A-Za-z]\})\}")


@settings(deadline=None)
@given(HOSTILE)
def test_any_name_is_ascii_in_latex_and_holds_no_command_but_those_of_letters_and_signs(name: str) -> None:
    text = in_latex(name)
    assert text.isascii()
    assert text.isprintable()
    assert not re.search("--|''|,,", text)
    bare = ACCENTED.sub("", COMMANDS.sub("", text)).replace("-{}", "").replace("'{}", "").replace(",{}", "")
    assert not set('\\{}$&#%_^~<>|`"[*') & set(bare)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Müller", r"M\"{u}ller"),
        ("Łódź, Þór", r"\L{}\'{o}d\'{z}, \textbackslash{}xde\'{o}r"),
        ("e\u0301", r"\'{e}"),  # in two characters
        ("ǟ", r"\={\"{a}}"),
        ("中文 π", r"\textbackslash{}u4e2d\textbackslash{}u6587 \textbackslash{}u03c0"),
        ("a\u2013b “c” --", r"a\textendash{}b \textquotedblleft{}c\textquotedblright{} -{}-"),
    ],
)
def test_letters_that_latex_does_not_know_are_spelt_or_written_as_their_escape(name: str, shown: str) -> None:
    assert in_latex(name) == shown


def test_what_is_not_defined_is_neither_best_nor_a_number() -> None:
    none: list[tuple[float, float]] = [(None, 0.4)]  # type: ignore[list-item]
    table = results_table(results(a=none, b=none), "digits")
    assert [(cell.text, cell.best) for cell in (row[1] for row in table.rows)] == [("n/a", False)] * 2
    table = results_table(results(a=none, b=[(0.1, 0.4)]), "digits")
    assert [row[1].best for row in table.rows] == [False, True]
    assert signed(float("nan")) == "n/a"


def test_means_that_look_alike_are_both_best() -> None:
    table = results_table(results(a=[(0.5004, 0.4)], b=[(0.4996, 0.3)]), "digits")
    assert [row[1].best for row in table.rows] == [True, True]


def test_differences_have_a_sign_but_no_negative_zero() -> None:
    assert [signed(x) for x in (0.0126, -0.0126, -0.0004, 0.0)] == ["+0.013", "-0.013", "+0.000", "+0.000"]


def test_a_column_without_a_heading_or_without_rows_can_be_printed() -> None:
    table = Table("results", ("", "mAP"), ((Cell("bce"), Cell("0.5")),))
    assert "0.5" in text_of(table)
    assert "mAP" in text_of(Table("results", ("", "mAP"), ()))


def test_brackets_of_variants_stay_in_titles() -> None:
    table = Table("bce[lr=1]", ("set", "macro-F1"), ((Cell("yeast"), Cell("0.5")),))
    assert "bce[lr=1]" in text_of(table)


def test_what_the_best_does_not_beat_significantly_is_underlined_everywhere() -> None:
    scores = {
        "best": [(0.70, 0.5), (0.80, 0.5), (0.75, 0.5)],
        "level": [(0.71, 0.5), (0.70, 0.4), (0.76, 0.3)],
        "worse": [(0.60, 0.1), (0.69, 0.1), (0.655, 0.1)],
        "once": [(0.1, 0.1)],
    }
    table = results_table(results(**scores), "digits")
    assert [(row[1].best, row[1].level) for row in table.rows] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),  # of one seed in common nothing can be said
    ]
    assert "<u>0.723 ± 0.032</u>" in table.markdown()
    assert r"\underline{0.723 $\pm$ 0.032}" in latex_table(table)
    console = Console(width=160, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(layout(table, 160))
    assert re.search("\x1b\\[4m *0.723 ± 0.032", capture.get())


def test_p_values_of_paired_differences_at_their_ends() -> None:
    assert paired_p_value([0.5, 0.6], [0.4, 0.5]) == 0.0
    assert paired_p_value([0.5, 0.6], [0.5, 0.6]) == 1.0
    assert math.isnan(paired_p_value([0.5], [0.4]))
    assert paired_p_value([0.5, 0.7, 0.6], [0.4, 0.65, 0.45]) == pytest.approx(
        stats.ttest_rel([0.5, 0.7, 0.6], [0.4, 0.65, 0.45]).pvalue
    )


def test_a_table_in_latex_has_names_as_text() -> None:
    names = ["[1]\\input{/etc/passwd}", "$x^2$ & 50 % #1 ~a_b", "*--*---<b>|`\x1b\n"]
    rows = tuple((Cell(name), Cell("0.5", best=name == names[0])) for name in names)
    text = latex_table(Table("a & b", ("method", "mAP"), rows))
    assert text.splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{a \& b}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"method & mAP \\",
        r"\midrule",
        r"{[}1]\textbackslash{}input\{/etc/passwd\} & \textbf{0.5} \\",
        r"\$x\textasciicircum{}2\$ \& 50 \% \#1 \textasciitilde{}a\_b & 0.5 \\",
        r"{*}-{}-{*}-{}-{}-\textless{}b\textgreater{}\textbar{}\textasciigrave{}\textbackslash{}x1b"
        r"\textbackslash{}n & 0.5 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
