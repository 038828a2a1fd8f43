import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_app.fields import extract_typst_fields


def fields(source):
    return [(field.key, field.example) for field in extract_typst_fields(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('#sys.inputs.at("name", default: "Alice")', [("name", "Alice")]),
        ("#sys.inputs.name", [("name", "")]),
        ('#data.at("name", default: "Alice")', [("name", "Alice")]),
        ('#data.at("name")', [("name", "")]),
        ("#data.name", [("name", "")]),
        ('#{ data.at("x", default: 3) }', [("x", "3")]),
        ("#let total = data.price * data.count", [("price", ""), ("count", "")]),
        ("Dear #data.first-name, welcome", [("first-name", "")]),
        ("#data.größe #data.名前 #data.नाम #data._x", [("größe", ""), ("名前", ""), ("नाम", ""), ("_x", "")]),
        ('#data.at("full name", default: "A")', [("full name", "A")]),
        ("#f(..data.parts)", [("parts", "")]),
        ("$ x + #data.offset $", [("offset", "")]),
        ("#{\n  data\n    .name\n}", [("name", "")]),
        ('#data.at(\n  "name", // which\n  default: /* this */ "Alice",\n)', [("name", "Alice")]),
        ('#data.at(default: "Alice", "name")', [("name", "Alice")]),
    ],
)
def test_declared_field_is_found(source, expected):
    assert fields(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "data.name",  # prose
        "// #data.name",
        "/* #data.name /* nested */ #data.name */",
        "`#data.name`",
        "``` #data.name `` #data.name ```",
        "````typ\n```\n#data.name\n```\n````",
        "#let x = ```typ #data.name```",
        '#let x = "data.name"',
        r'#let x = "\" + data.name + \""',
        r"\#data.name",
        "see https://docs.example/#data.name",
        "@data.name <data.name>",
        "#link(<data.name>)",
        '#metadata.name #mydata.at("x") #my-data.name #data-x.name',
        '#x.data.name #x.sys.inputs.name #x.data.at("name")',
        "#sys.version #sys.inputs #data",
        "#data.keys() #data.values() #data.pairs() #data.len() #sys.inputs.pairs()",
        '#data.insert("name", 1) #data.remove("name")',
        "#{ data.total = 3 }",
        "#data.at(key) #data.at()",
        "#data . name",  # the blank ends the code in markup
        "#data.\nname",
        '#(a: data).name "data.name"',
    ],
)
def test_what_is_no_declaration_is_left_out(source):
    assert fields(source) == []


@pytest.mark.parametrize(
    ("default", "example"),
    [
        ('"Alice"', "Alice"),
        (r'"a \"b\" \\ c\n\u{1F600}"', 'a "b" \\ c\n😀'),
        (r'"\u{d800}\u{110000}"', r"\u{d800}\u{110000}"),
        ('"a, b) c"', "a, b) c"),
        ("3", "3"),
        ("-2.50", "-2.50"),
        ("12pt", "12pt"),
        ("50%", "50%"),
        ("0xff", "0xff"),
        ("true", "true"),
        ("[Dear *you*]", "Dear *you*"),
        ("[a [b] ) #f(c) \\] d]", "a [b] ) #f(c) \\] d"),
        ('("a", "b")', '("a", "b")'),
        ('("a",)', '("a",)'),
        ("()", "()"),
        ("(:)", "(:)"),
        ('(name: "Bob", lines: ((price: 1), [x]))', '(name: "Bob", lines: ((price: 1), [x]))'),
        ('("key 1": 2)', '("key 1": 2)'),
        ('(("Alice"))', "Alice"),
        ("none", ""),
        ("auto", ""),
        ("true and false", ""),
        ("datetime.today()", ""),
        ('"a" + "b"', ""),
        ('lower("A")', ""),
        ('data.at("other", default: "B")', ""),
        ("x => x", ""),
        ("`raw`", ""),
        ("$x$", ""),
        ("(1 + 2)", ""),
        ('-"a"', ""),
    ],
)
def test_example_is_the_literal_that_stands_as_default(default, example):
    assert fields(f'#data.at("key", default: {default})')[0] == ("key", example)
    assert fields(f'#{{ let x = sys.inputs.at("key", default: {default}, ) }}')[0] == ("key", example)


def test_first_step_of_a_chain_is_the_field():
    assert fields('#data.customer.name #data.at("items").at(0).price #sys.inputs.at("a").len()') == [
        ("customer", ""),
        ("items", ""),
        ("a", ""),
    ]
    assert fields('#data.customer.at("city", default: "Cork") #data.lines.at(0, default: 1)') == [
        ("customer", ""),
        ("lines", ""),
    ]


def test_fields_stand_in_order_of_first_appearance_and_once():
    source = '#data.b #data.at("a", default: "1") #data.b #sys.inputs.a #data.c'
    assert fields(source) == [("b", ""), ("a", "1"), ("c", "")]


def test_first_example_that_is_given_wins():
    source = '#data.a #data.at("a", default: none) #data.at("a", default: "one") #data.at("a", default: "two")'
    assert fields(source) == [("a", "one")]


def test_nested_defaults_declare_their_own_fields():
    source = '#data.at("a", default: data.at("b", default: (data.at("c", default: 1), 2)))'
    assert fields(source) == [("a", ""), ("b", '(data.at("c", default: 1), 2)'), ("c", "1")]


def test_membership_is_a_key_without_example():
    assert fields('#if "name" in data [x]') == [("name", "")]
    assert fields('#if "name" not in sys.inputs [x]') == [("name", "")]
    assert fields('#if "city" in data.address [x]') == [("address", "")]
    assert fields("#for name in data [x]") == []


def test_code_in_markup_ends_where_typst_ends_it():
    assert fields('#data.a. data.b "data.c" #data.d; data.e') == [("a", ""), ("d", "")]
    assert fields("#if data.a [one] else [two] data.b's #data.c") == [("a", ""), ("c", "")]
    assert fields('#for x in data.a [#x "] said "#data.b') == [("a", ""), ("b", "")]
    assert fields("#let x = data.a\ndata.b [#let y = data.c] data.d") == [("a", ""), ("c", "")]
    assert fields("#context data.a data.b") == [("a", "")]
    assert fields("#set text(fill: data.a); data.b") == [("a", "")]
    assert fields('#show "x": it => { data.a }\ndata.b') == [("a", "")]
    assert fields("#if data.a { data.b } else if data.c { data.d } else { data.e } data.f") == [
        (key, "") for key in "abcde"
    ]


def test_markup_inside_code_is_markup():
    assert fields("#{ [data.a #data.b] + data.c }") == [("b", ""), ("c", "")]
    assert fields("#f[data.a #data.b](data.c)[data.d]") == [("b", ""), ("c", "")]
    assert fields("#let x = [it's] + data.a") == [("a", "")]
    assert fields("#let x = $ data.a $ + data.b") == [("b", "")]


def test_words_with_apostrophes_and_odd_quotes_hide_nothing():
    assert fields('5" and "6 \' #data.a " #data.b // "\n#data.c') == [("a", ""), ("b", ""), ("c", "")]


@pytest.mark.parametrize("broken", ["", "#", "#data", "#data.", "#data.at(", "#{", "```", "/*", '#"\\', "#let"])
def test_broken_source_gives_what_can_be_recognised(broken):
    assert fields("#data.first " + broken) == [("first", "")]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "[",
        "{",
        "#{",
        "#[",
        "$#",
        '#"',
        "#data.",
        '#data.at("a", default: ',
        "#f(",
        "/*",
        "`",
        "` ``` ",
        "<",
        "#if a [] ",
        ")]}",
    ],
)
def test_hostile_megabyte_is_read_to_its_end(piece):
    repeated = piece * (300_000 // len(piece))
    extract_typst_fields(repeated)
    extract_typst_fields("#{ " + repeated)
    assert fields("#data.first " + repeated)[0] == ("first", "")


@pytest.mark.timeout(60)
def test_examples_never_add_up_to_more_than_the_source():
    depth = 20_000
    source = "#{" + "".join(f'data.at("k{n}", default: (1, ' for n in range(depth)) + "))" * depth + "}"
    found = extract_typst_fields(source)
    assert len(found) == depth
    assert sum(len(field.example) for field in found) <= len(source)


_PIECES = st.sampled_from(
    [
        "data",
        "sys.inputs",
        ".name",
        '.at("k"',
        ", default: ",
        '"x"',
        "3",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "#",
        "$",
        "`",
        "```",
        "//",
        "/*",
        "*/",
        "\n",
        ";",
        " ",
        "\\",
        "let ",
        "if ",
        "else ",
        " in ",
        "=",
        "..",
        "-",
        "é",
        "\u093e",
        "<a>",
        '"',
    ]
)


# The same examples each time, and as long as they take: nobody's change fails by an unlucky draw or a busy machine.


@settings(max_examples=300)
@given(st.one_of(st.text(), st.lists(_PIECES, max_size=60).map("".join)))
def test_any_text_gives_a_list_of_distinct_keys(source):
    found = extract_typst_fields(source)
    assert len({field.key for field in found}) == len(found)
    assert sum(len(field.example) for field in found) <= len(source)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
)
def test_any_text_survives_quoting(key, example):
    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert fields(f"#data.at({quoted(key)}, default: {quoted(example)})") == [(key, example)]
