"""Go's templates as calicoctl's users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.cli.template import TemplateFault, render
from tests.muslin.cli.calico import POOL, Calico

_POOLS = [
    {
        "kind": "IPPoolList",
        "items": [
            {
                "kind": "IPPool",
                "metadata": {"name": "a", "labels": {"x": "1"}},
                "spec": {"cidr": "192.0.2.0/24", "natOutgoing": True, "allowedUses": ["Workload", "Tunnel"]},
            },
            {"kind": "IPPool", "metadata": {"name": "b"}, "spec": {"cidr": "198.51.100.0/24", "blockSize": 26}},
        ],
    }
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{range .}}{{range .Items}}{{.ObjectMeta.Name}} {{.Spec.CIDR}}\n{{end}}{{end}}",
         "a 192.0.2.0/24\nb 198.51.100.0/24\n"),
        ("{{range .}}{{range .items}}{{.metadata.name}},{{end}}{{end}}", "a,b,"),
        ("{{range .}}{{range $i, $p := .Items}}{{$i}}{{$p.Name}}{{end}}{{end}}", "0a1b"),
        ("{{range .}}{{range .Items}}{{if .Spec.NATOutgoing}}nat{{else}}plain{{end}} {{end}}{{end}}", "nat plain "),
        ("{{range .}}{{range .Items}}[{{.Spec.IPIPMode}}]{{end}}{{end}}", "[][]"),
        ('{{range .}}{{range .Items}}{{join .Spec.AllowedUses ","}};{{end}}{{end}}', "Workload,Tunnel;;"),
        ("{{(index (index . 0).items 1).spec.blockSize}}", "26"),
        ("{{with index . 0}}{{len .Items}}{{end}}{{with nil}}x{{else}}none{{end}}", "2none"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("{{$x := 1}}{{range .}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{if and true (eq 1 1) (not false)}}yes{{else if true}}no{{end}}", "yes"),
        ('{{if or "" 0}}yes{{else if lt 1 2}}less{{end}}', "less"),
        ('{{eq "a" "b" "a"}} {{ne 1 2}} {{le 2 2}} {{gt 1.5 1}} {{ge "b" "a"}}', "true true true true true"),
        ('{{printf "%-4s|%04d|%q|%v|%t|%x|%5.1f|%%" "ab" 7 "c" true false 255 1.25}}',
         'ab  |0007|"c"|true|false|ff|  1.2|%'),
        ('{{printf "%d %s" "x"}}', "%!d(string=x) %!s(MISSING)"),
        ('{{"b" | printf "%s-%s" "a"}}', "a-b"),
        ('{{print 1 2 "x" 3}}{{println 1 "x"}}', "1 2x31 x\n"),
        ('{{define "T"}}<{{.}}>{{end}}{{template "T" "x"}}{{block "U" 1}}({{.}}){{end}}', "<x>(1)"),
        ('{{range .}}{{range .Items}}{{if eq .Name "b"}}{{break}}{{end}}{{.Name}}{{end}}{{end}}', "a"),
        ('{{range .}}{{range .Items}}{{if eq .Name "a"}}{{continue}}{{end}}{{.Name}}{{end}}{{end}}', "b"),
        ("{{range $k, $v := (index (index . 0).items 0).metadata.labels}}{{$k}}={{$v}}{{end}}", "x=1"),
        ("{{range .none}}x{{else}}empty{{end}}", None),
        ('{{slice "hello" 1 3}} {{index "ab" 0}} {{html "<a>"}} {{urlquery "a b"}}', "el 97 &lt;a&gt; a+b"),
        ('{{joinAndTruncate (index (index . 0).items 0).spec.allowedUses "," 8}}', "Workl..."),
        ("{{`raw \"x\"`}}{{\"\\n\"}}{{'a'}}", 'raw "x"\n97'),
        ("{{index . 0 | len}}", "2"),
    ],
)  # fmt: skip
def test_what_templates_give(template: str, expected: str | None) -> None:
    """Fields by Go's names or JSON's, control, variables, functions, trimming: as Go's text/template documents them."""
    if expected is None:
        with pytest.raises(TemplateFault):
            render(template, _POOLS)
        return

    assert render(template, _POOLS) == expected


@pytest.mark.parametrize(
    ("template", "what", "line", "column"),
    [
        ("{{if}}", "missing value for command", 1, 3),
        ("x\n{{range .}}", "{{range}} has no {{end}}", 2, 3),
        ("{{foo 1}}", 'function "foo" not defined', 1, 3),
        ("{{ .a", "unclosed action", 1, 1),
        ("{{/* a", "unclosed comment", 1, 1),
        ('{{ "a }}', "unterminated quoted string", 1, 4),
        ("{{end}}", "unexpected {{end}}", 1, 3),
        ("{{$y}}", 'undefined variable "$y"', 1, 3),
        ("{{1 2}}", "can't give argument to non-function 1", 1, 3),
        ("{{break}}", "{{break}} outside {{range}}", 1, 3),
        ("{{.Foo}}", "can't evaluate field Foo in type []interface {}", 1, 3),
        ("{{index . 9}}", "error calling index: index out of range: 9", 1, 3),
        ('{{template "x"}}', 'template "x" not defined', 1, 3),
        ('{{define "r"}}{{template "r"}}{{end}}{{template "r"}}', "exceeded maximum template depth", 1, 17),
        ("{{range 1.5}}{{end}}", "range can't iterate over 1.5", 1, 9),
        ('{{lt 1 "a"}}', "error calling lt: incompatible types for comparison", 1, 3),
        ("{{len 3}}", "error calling len: len of type int", 1, 3),
        ("{{printf}}", "error calling printf: wrong number of args: got 0", 1, 3),
        ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "the template is nested too deeply", 1, 1),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(template: str, what: str, line: int, column: int) -> None:
    """Mistakes of the template, and those that only its data show."""
    with pytest.raises(TemplateFault) as caught:
        render(template, _POOLS)
    fault = caught.value

    assert (fault.what, fault.line, fault.column) == (what, line, column)


@pytest.mark.slow
@given(st.text(st.sampled_from('{}.$"|() abz09-/*=:,\n`%') | st.characters(), max_size=60))
def test_any_text_is_a_template_or_a_fault(text: str) -> None:
    """Whatever somebody types, the answer is text or a TemplateFault."""
    try:
        answer: object = render(text, _POOLS)
    except TemplateFault as fault:
        answer = (fault.line, fault.column)

    assert isinstance(answer, str) or min(answer) >= 1  # type: ignore[call-overload]  # of two numbers


def test_templates_of_get(calico: Calico) -> None:
    """From the command line and from a file, and wrong ones in the reference's form."""
    calico.apply(POOL)
    template = "{{range .}}{{range .Items}}{{.Spec.CIDR}}{{end}}{{end}}"
    file = calico.write(template, "pools.tmpl")
    wrong = calico.ctl("get", "pools", "-o", "go-template={{.X}}")
    missing = calico.ctl("get", "pools", "-o", f"go-template-file={calico.folder}/nope")

    assert calico("get", "pools", "-o", f"go-template={template}").out == "10.48.0.0/16"
    assert calico("get", "pools", "-o", f"go-template-file={file}").out == "10.48.0.0/16"
    assert (
        calico("get", "pool", "pods", "-o", 'go-template={{(index . 0).Name}}{{config "asnumber"}}').out == "pods64512"
    )
    assert wrong.err.splitlines()[0] == "template: get:1:3: can't evaluate field X in type []interface {}"
    assert (wrong.status, missing.status) == (1, 1)
    assert missing.err.splitlines()[0] == f"open {calico.folder}/nope: no such file or directory"
