"""What every page must be: parsed, closed, complete in itself. Assertions on
`page` follow."""

import base64
import hashlib
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
        if tag == "li":
            self.text.setdefault("li", []).append("")

    def take(self, tag, attrs):
        assert tag not in ("iframe", "object", "link"), tag
        assert tag != "script" or not attrs, attrs
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
        if "li" in self.open: # with all that is in it
            self.text["li"][-1] += data
        if tag != "li":
            self.text.setdefault(tag, []).append(data)

    def count(self, tag):
        return sum(t == tag for t, a in self.tags)


page = Page(sys.argv[1])
assert len(page.ids) == len(set(page.ids)), "an id twice"
assert page.count("h1") == 1 and page.count("main") == 1

# One script, which the page's policy knows by its digest.
script = "".join(page.text["script"])
digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
policy = [a["content"] for t, a in page.tags
          if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
assert page.count("script") == 1 and len(script) < 30000, len(script)
assert len(policy) == 1 and policy[0].split("; ") == [
    "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:",
    f"script-src 'sha256-{digest}'"], policy
