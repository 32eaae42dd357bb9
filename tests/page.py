"""What every page must be: parsed, closed, complete in itself. Assertions on
`page` follow."""

import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
REFERENCES = {"href", "src", "xlink:href", "srcset", "data", "action"}


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.text = [], [], [], {}
        raw = open(path, "rb").read()
        assert len(raw) < 2 << 20, len(raw)
        self.raw = raw.decode("utf-8")
        self.feed(self.raw)
        self.close()
        assert not self.open, self.open

    def handle_startendtag(self, tag, attrs):
        self.take(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.take(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def take(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "link"), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in REFERENCES:
                assert value.startswith(("#", "data:")), (tag, name, value)
            if name == "style":
                assert "url(" not in value, value
            if name == "id":
                self.ids.append(value)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        tag = self.open[-1] if self.open else ""
        assert tag != "style" or "url(" not in data and "@import" not in data
        self.text.setdefault(tag, []).append(data)

    def count(self, tag):
        return sum(t == tag for t, a in self.tags)


page = Page(sys.argv[1])
assert len(page.ids) == len(set(page.ids)), "an id twice"
assert page.count("h1") == 1 and page.count("main") == 1
