"""What an http or https URL must be. Pure."""

from alert_history.urls.url import Url, UrlFault, only_host, read_url


def read_web_url(text: str) -> Url:
    """`https://host:port/path`, perhaps with `user:password@`, and without a query. Raises: UrlFault."""
    url = read_url(text, ("https", "http"))
    only_host(url)
    if url.parameters:
        raise UrlFault("it has a query (a ? and what follows), which is not sent")
    _check_host(text)
    return url


def _check_host(text: str) -> None:
    """The client decodes hosts that begin with xn--. Imported when needed: most start without."""
    import httpx

    try:
        _ = httpx.URL(text).host
    except (httpx.InvalidURL, ValueError):
        raise UrlFault("its host can't be read") from None
