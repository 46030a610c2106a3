"""Templates hold words and columns, and nothing that runs."""

import pytest

from kerasft.errors import UserError
from kerasft.models.preprocessing.prompt_template import PromptTemplate, plain_template


def test_without_a_template_each_column_is_a_line():
    columns = ["instruction", "input"]
    template = PromptTemplate(plain_template(columns), columns)
    assert template.render({"instruction": "a {b}", "input": "c"}) == "a {b}\nc\n"
    assert PromptTemplate("{{{input}}}", ["input"]).render({"input": "x"}) == "{x}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{input}", "{instruction} is not in it; add it, or remove data.columns.instruction"),
        ("{instruction}{input}{other}", "{other} is none of the columns' roles; it can hold {instruction} and {input}"),
        ("{instruction}{input.upper}", "{input.upper} is none"),
        ("{instruction}{input!r}", "{input} is none"),
        ("{instruction}{input:>9}", "{input} is none"),
        ("{instruction}{input}{", "Single '{' encountered in format string; write {{ or }}"),
    ],
)
def test_a_template_holds_columns_and_no_code(template, expected):
    with pytest.raises(UserError, match="^task.template: ") as error:
        PromptTemplate(template, ["instruction", "input"])
    assert expected in str(error.value)
