"""`/docs` is whole, safe and alone: it shows everything the OpenAPI document says, and needs nothing else."""

import re
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from alert_history.web.pages.page import policy_of
from alert_history.web.pages.reference import render_reference
from tests.reference_document import reference_document

HOSTILE = """<script>alert(1)</script>"'><img src=http://evil.example/x onerror=alert(2)>{{ 7*7 }}`</code><b>`"""


class Page(HTMLParser):
    """What a browser would find: elements, their attributes, the text, and the text inside each kind of element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)
        self.inside.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data
        for tag in set(self._open):
            self.inside[tag][-1] += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_reference(reference_document()))


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def page_of(*, schema: Any = None, **operation: Any) -> Page:
    """The page of one GET on /x; with a schema, that of its answer."""
    if schema is not None:
        operation["responses"] = {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}
    return Page(render_reference({"paths": {"/x": {"get": operation}}}))


def hostile(value: Any) -> Any:
    """The same document, every text in it that is no key, reference, method, type or place replaced."""
    safe_keys = {"$ref", "type", "in", "format"}
    if isinstance(value, dict):
        return {key: item if key in safe_keys else hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


def commands(page: Page) -> list[list[str]]:
    """The arguments that a shell hands to curl, for each command on the page."""
    scripts = [text for text in page.inside["pre"] if text.startswith("curl")]
    shows = 'curl() { printf "%s\\0" "$@"; }\n'
    runs = (
        subprocess.run(["sh", "-c", shows + script], check=True, capture_output=True, text=True) for script in scripts
    )
    return [each.stdout.removesuffix("\0").split("\0") for each in runs]


def test_every_operation_is_on_the_page_and_in_the_navigation(page: Page) -> None:
    headings = [re.sub(r"\s+", " ", text).strip() for text in page.inside["h3"]]
    for path, method, operation in operations(reference_document()):
        assert f"{method.upper()} {path}" in [heading.removesuffix(" deprecated") for heading in headings]
        assert operation["operationId"] in page.attributes("id")
        assert f"#{operation['operationId']}" in page.attributes("href")


def test_every_summary_parameter_and_status_is_on_the_page(page: Page) -> None:
    statuses = " ".join(page.inside["li"])
    for _, _, operation in operations(reference_document()):
        assert operation["summary"] in page.text
        assert all(status in statuses for status in operation["responses"])
        rows = " ".join(page.inside["th"])
        assert all(parameter["name"] in rows for parameter in operation.get("parameters", ()))


def test_every_link_inside_the_page_leads_to_one_place(page: Page) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.attributes("href") if href.startswith("#")} <= set(ids)


def test_the_page_names_no_script_and_no_resource_of_another_host() -> None:
    html = render_reference(reference_document())
    page = Page(html)
    assert not {"script", "iframe", "object", "embed", "img", "form"} & {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    references = [value for name in ("href", "src", "srcset", "action") for value in page.attributes(name)]
    assert "openapi.json" in references
    assert all(value.startswith(("#", "data:")) or value in {"openapi.json", "dashboard"} for value in references)
    assert not re.search(r"url\(|@import", page.inside["style"][0])


def test_hostile_texts_are_shown_and_never_become_elements() -> None:
    harmless, page = Page(render_reference(reference_document())), Page(render_reference(hostile(reference_document())))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name in {"src", "onerror"}]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_hostile_names_and_paths_are_shown_and_never_become_elements() -> None:
    operation = {"operationId": HOSTILE, "parameters": [{"name": HOSTILE, "in": "query", "schema": {"type": HOSTILE}}]}
    document = {"paths": {f"/{HOSTILE}": {"get": {**operation, "tags": [HOSTILE], "responses": {HOSTILE: {}}}}}}
    page = Page(render_reference(document))
    assert not {"script", "img", "b"} & {tag for tag, _ in page.elements}
    assert page.text.count("<script>") >= 5


def test_the_policy_allows_the_style_sheet_of_the_page_and_nothing_else(page: Page) -> None:
    digest = b64encode(sha256(page.inside["style"][0].encode()).digest()).decode()
    policy = policy_of(render_reference(reference_document()))
    assert f"style-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert not page.attributes("style")


def test_headings_come_in_order_under_one_h1(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_parameter_tells_its_place_type_choices_range_and_default(page: Page) -> None:
    rows = [" ".join(text.split()) for text in page.inside["tr"]]
    assert 'query query string "" Matchers: {pod!=""}' in rows
    assert "status query string firingresolved" in rows
    assert "since query string First received at or after" in rows
    assert "limit query integer 1 to 1000 50" in rows
    assert "id required path string id of a pod" in rows


def test_an_answer_tells_its_fields_and_those_of_what_is_inside(page: Page) -> None:
    rows = [" ".join(text.split()) for text in page.inside["tr"]]
    assert "labels map of string" in rows
    assert any(row.startswith("containers array of Container Fields of Container") for row in rows)
    assert "started_at optional string (date-time) or null" in rows
    assert "A pod and all that runs in it." in page.text


def test_a_type_inside_itself_is_named_and_not_unfolded_again(page: Page) -> None:
    assert "parent optional Pod or null A pod and all that runs in it." in [
        " ".join(text.split()) for text in page.inside["tr"]
    ]


def test_a_description_keeps_its_paragraphs_and_code() -> None:
    page = page_of(description="One `a < b`.\n\nTwo.")
    assert {"One a < b.", "Two."} <= set(page.inside["p"])
    assert "a < b" in page.inside["code"]


def test_a_command_for_a_read_is_ready_to_paste(page: Page) -> None:
    query = ["--data-urlencode", 'query={severity="critical"}']
    assert ["-G", "http://localhost:8080/pods", *query] in commands(page)
    assert ["http://localhost:8080/pods/ID"] in commands(page)


def test_a_command_for_a_write_carries_an_example_made_from_its_schema(page: Page) -> None:
    header = ["-H", "Content-Type: application/json"]
    url = "http://localhost:8080/enrichment/mode"
    assert [url, *header, "--data", '{\n  "mode": "transparent"\n}'] in commands(page)


def test_no_value_of_an_example_escapes_the_quotes_of_the_shell() -> None:
    parameter = {"name": "q", "in": "query", "example": "'; rm -rf $(pwd) `id`"}
    assert commands(page_of(parameters=[parameter]))[0][-1] == "q='; rm -rf $(pwd) `id`"


def test_commands_call_the_server_that_the_document_names() -> None:
    document = {**reference_document(), "servers": [{"url": "/"}, {"url": "https://history.example.com/"}]}
    assert "https://history.example.com/pods/ID" in [
        command[-1] for command in commands(Page(render_reference(document)))
    ]


@pytest.mark.parametrize(
    "schema, words",
    [
        ({"type": ["string", "null"]}, "string or null"),
        (
            {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
            "integer or array of string",
        ),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "map of number"),
        ({"const": 4}, "integer"),
        ({"enum": ["a", None]}, "string or null"),
        ({"allOf": [{"type": "object", "title": "Base"}, {"properties": {}}]}, "Base"),
        ({"$ref": "#/components/schemas/Lacking"}, "any"),
        (True, "any"),
        ({}, "any"),
    ],
)
def test_each_kind_of_schema_is_told_in_words(schema: Any, words: str) -> None:
    assert any(
        item.split("·")[-1].split("application/json")[-1].strip() == words
        for item in page_of(schema=schema).inside["p"]
    )


def test_references_in_a_circle_end() -> None:
    circle = {
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"type": "array", "items": {"$ref": "#/components/schemas/A"}},
    }
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    document = {"paths": {"/x": {"post": {"requestBody": body}}}, "components": {"schemas": circle}}
    assert "/x" in Page(render_reference(document)).text


def test_operations_without_ids_or_with_the_same_id_have_anchors_of_their_own() -> None:
    same = {"operationId": "same"}
    page = Page(render_reference({"paths": {"/a": {"get": same, "post": same}, "/b": {"get": {}}}}))
    assert {"same", "same-2", "get-b"} <= set(page.attributes("id"))


def test_parameters_of_the_path_and_by_reference_are_shown() -> None:
    document = {
        "paths": {"/x/{a}": {"parameters": [{"$ref": "#/components/parameters/a"}], "get": {}}},
        "components": {"parameters": {"a": {"name": "a", "in": "path", "schema": {"type": "string"}}}},
    }
    assert "a required path string" in [
        " ".join(text.split()) for text in Page(render_reference(document)).inside["tr"]
    ]


def test_an_empty_document_is_still_a_page() -> None:
    assert "<h1>" in render_reference({})
