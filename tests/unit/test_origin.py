"""Who is asked what fires: how an operator names Alertmanager clusters and Prometheus servers."""

import msgspec
import pytest

from alert_history.domain.origin import Origin, Server, parse_origins

SECRET = "s3cret"  # noqa: S105  # of nothing


def named(text: str) -> dict[str, list[str]]:
    return {origin.name: [server.url for server in origin.servers] for origin in parse_origins(text)}


def server(text: str) -> Server:
    ((only,),) = (origin.servers for origin in parse_origins(text))
    return only


def test_urls_of_one_name_are_peers_of_one_cluster() -> None:
    assert named("am=http://a:9093,am=http://b:9093,http://c:9093") == {
        "am": ["http://a:9093", "http://b:9093"],
        "c:9093": ["http://c:9093"],
    }


@pytest.mark.parametrize(
    "url,name",
    [
        ("http://a:9093", "a:9093"),
        ("http://a", "a:80"),
        ("https://a/alertmanager/", "a:443"),
        ("https://ada:pw@A.Example.com", "a.example.com:443"),
        ("http://[::1]:9093", "[::1]:9093"),
    ],
)
def test_a_url_without_a_name_is_named_by_its_host_and_port(url: str, name: str) -> None:
    assert list(named(url)) == [name]


@pytest.mark.parametrize(
    "url,shown",
    [
        ("http://a:9093/", "http://a:9093"),
        ("https://proxy/alertmanager/", "https://proxy/alertmanager"),
        ("http://a/x=y", "http://a/x=y"),
        ("http://ada:pw@a:9093/x", "http://a:9093/x"),
    ],
)
def test_the_url_of_a_server_has_no_credentials_and_no_slash_at_its_end(url: str, shown: str) -> None:
    assert server(url).url == shown


def test_user_and_password_are_decoded() -> None:
    ada = server("http://ada%40x:p%2Fw%3A%2C@a:9093")
    assert (ada.user, ada.password) == ("ada@x", "p/w:,")


def test_a_user_may_come_without_a_password() -> None:
    assert (server(f"http://{SECRET}@a").user, server(f"http://{SECRET}@a").password) == (SECRET, "")


def test_spaces_around_items_do_not_matter() -> None:
    assert named(" am = http://a:9093 ,\n http://c:9093 ") == {"am": ["http://a:9093"], "c:9093": ["http://c:9093"]}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ",",
            "http://a,",
            "a:9093",
            "am=a:9093",
            "ftp://a",
            "http://",
            "http://:9093",
            "http://a:0",
            "http://a:65536",
        ),
        *("http://a?x=1", "http://a#x", "http://a b", "http://a:9093/x y", "http://ada:p/w@a", "am=am=http://a"),
        *("a b=http://a", "a/b=http://a", f"{'n' * 64}=http://a"),
    ],
)
def test_what_is_no_list_of_urls_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|name"):
        parse_origins(text)


@pytest.mark.parametrize("text", ["http://a,http://a", "am=http://a,http://a/", "am=http://a,prom=http://u:p@a"])
def test_one_server_is_not_two_witnesses(text: str) -> None:
    with pytest.raises(ValueError, match="there twice"):
        parse_origins(text)


def test_two_of_one_host_need_names() -> None:
    with pytest.raises(ValueError, match="name both"):
        parse_origins("http://proxy:80/a,http://proxy/b")
    assert list(named("a=http://proxy:80/a,b=http://proxy/b")) == ["a", "b"]


@pytest.mark.parametrize(
    "text", [f"http://ada:{SECRET},x@a", f"am=http://ada:{SECRET}@a:b", f"{SECRET}@a", f"{SECRET}!=http://a"]
)
def test_a_fault_shows_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        parse_origins(text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("show", [repr, str, lambda value: str(msgspec.structs.asdict(value))])
def test_text_forms_show_no_password(show: object) -> None:
    origin = Origin("am", (server(f"http://ada:{SECRET}@a"),))
    assert callable(show)
    assert SECRET not in show(origin)
