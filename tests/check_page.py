"""What a reader does with a page, tried in headless Chromium: clicks, keys, a
telephone's width, darkness, print. check_page.py REPORT.html; speaks TAP.

The browser is spoken to through a pipe (DevTools protocol): nothing listens."""

import json
import os
import subprocess
import sys
import tempfile

PAGE = "file://" + os.path.realpath(sys.argv[1])


class Browser:
    def __init__(self, name, folder):
        to, self.write = os.pipe()
        self.read, back = os.pipe()

        def ends():  # the browser reads 3 and writes 4
            os.dup2(to, 10), os.dup2(back, 11)
            os.dup2(10, 3), os.dup2(11, 4)

        self.process = subprocess.Popen(
            [name, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe",
             f"--user-data-dir={folder}"],
            preexec_fn=ends, close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to), os.close(back)
        self.number, self.bytes, self.session, self.events = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.bytes:
            more = os.read(self.read, 1 << 16)
            assert more, "the browser is gone"
            self.bytes += more
        line, self.bytes = self.bytes.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write, json.dumps(request).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.number:
                assert "error" not in m, m
                return m["result"]
            self.events.append(m)

    def open(self, width, dark=False, scripts=True):
        """Load the page anew, and wait until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media="", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.events.clear()
        self.call("Page.navigate", url=PAGE)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message())

    def js(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                      awaitPromise=True)
        assert "exceptionDetails" not in r, r["exceptionDetails"]
        return r["result"].get("value")

    def settle(self):
        """Let what was begun, as scrolling, be drawn."""
        self.js("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y,
                  button="left" if kind != "mouseMoved" else "none", clickCount=1)

    def click(self, selector):
        x, y = self.js(f"""(() => {{
            const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: 'center'}});
            const r = e.getBoundingClientRect();
            return [r.left + Math.min(r.width, 20) / 2, r.top + r.height / 2]; }})()""")
        self.settle()
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def press(self, key, code=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code,
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))


TABLE = "[...document.querySelectorAll('.wide > table:not(.facts)')].find(" \
        "t => t.tBodies[0].rows.length > 2)"
COLUMN = f"[...{TABLE}.tBodies[0].rows].map(r => r.cells[1].textContent.trim())"
UNIT = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "%": 0.01}


def number(cell):
    if cell == "n/a":
        return float("inf")
    value, *unit = cell.split()
    return float(value) * (UNIT.get(unit[0], 1) if unit else 1)


def nothing_fails(b):
    b.open(1400)
    b.js("1")
    bad = [e for e in b.events if e.get("method") == "Runtime.exceptionThrown"
           or (e.get("method") == "Log.entryAdded"
               and e["params"]["entry"]["level"] == "error")]
    assert not bad, bad


def a_click_sorts_a_table(b):
    b.open(1400)
    before = b.js(COLUMN)
    b.js(TABLE + ".dataset.mine = ''")
    head = "table[data-mine] thead th:nth-child(2)"
    b.click(head + " button")
    assert b.js(f"document.querySelector('{head}').ariaSort") == "ascending"
    up = [number(x) for x in b.js(COLUMN)]
    assert up == sorted(up) and sorted(up) == sorted(map(number, before)), up
    b.click(head + " button")
    down = [x for x in map(number, b.js(COLUMN)) if x != float("inf")]
    assert down == sorted(down, reverse=True) and down != up, down
    b.click(head + " button")
    assert b.js(COLUMN) == before


def keys_sort_a_table(b):
    b.open(1400)
    b.js(TABLE + ".querySelector('thead th:nth-child(2) button').focus()")
    b.press("Enter", 13)
    up = [number(x) for x in b.js(COLUMN)]
    assert up == sorted(up), up
    assert b.js(TABLE + ".querySelector('thead th:nth-child(2)').ariaSort") == "ascending"


def the_pointer_shows_values(b):
    b.open(1400)
    x, y = b.js("""(() => {
        const e = document.querySelector('figure svg .tip');
        e.scrollIntoView({block: 'center'});
        const r = e.getBoundingClientRect();
        return [r.left + r.width / 2, r.top + r.height / 2]; })()""")
    b.settle()
    b.mouse("mouseMoved", x + 3, y)
    said = b.js("document.getElementById('tip').textContent")
    assert b.js("!document.getElementById('tip').hidden") and len(said) > 8, said
    assert b.js("document.querySelectorAll('.tip.on').length") == 1
    b.mouse("mouseMoved", 2, 2)
    assert b.js("document.getElementById('tip').hidden")


def keys_show_values(b):
    b.open(1400)
    b.js("document.querySelector('figure svg[tabindex]').focus()")
    b.settle()
    said = []
    for _ in range(2):
        b.press("ArrowRight", 39)
        said.append(b.js("document.getElementById('tip').textContent"))
    b.press("ArrowLeft", 37)
    assert b.js("document.getElementById('tip').textContent") == said[0] != said[1], said
    b.press("Escape", 27)
    assert b.js("document.getElementById('tip').hidden")


def the_slider_walks_through_layers(b):
    b.open(1400)
    state = "[document.querySelector('.slider output').textContent, " \
            "document.querySelectorAll('.tip.picked').length, " \
            "document.querySelectorAll('.bars i').length]"
    first, picked, bars = b.js(state)
    b.js("document.querySelector('.slider input').focus()")
    b.settle()
    b.press("ArrowRight", 39)
    second, again, _ = b.js(state)
    assert first != second and picked == again == bars > 0, (first, second, picked, bars)
    row = b.js("[...[...document.querySelectorAll('table')].find(t => t.tHead && "
               "t.tHead.textContent.startsWith('layer')).tBodies[0].rows[1].cells]"
               ".map(c => c.textContent)")
    assert f"layer {row[0]}, skewness {row[1]}" == second, (row, second)
    shown = b.js("[...document.querySelectorAll('.bars b')].map(e => e.textContent)")
    assert shown == row[2:], (row, shown)


def a_telephone_reads_it(b):
    for dark in (False, True):
        b.open(400, dark)
        assert b.js("document.documentElement.scrollWidth") <= 400
        small = b.js("""[...document.querySelectorAll('main *, figure svg text')].filter(e =>
            [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
            e.getClientRects().length).map(e => {
              const svg = e.closest('svg');
              const scale = svg ? svg.getBoundingClientRect().width /
                                  svg.viewBox.baseVal.width : 1;
              return [scale * parseFloat(getComputedStyle(e).fontSize), e.textContent];
            }).filter(([size]) => size < 11)""")
        assert not small, small[:5]
        hidden = b.js("""[...document.querySelectorAll('.wide')].filter(e =>
            e.scrollWidth > e.clientWidth + 1 &&
            (!getComputedStyle(e).backgroundImage.includes('radial-gradient') ||
             e.tabIndex !== 0)).length""")
        wide = b.js("[...document.querySelectorAll('.wide')].filter(e => "
                    "e.scrollWidth > e.clientWidth + 1).length")
        assert hidden == 0 and wide > 0, (hidden, wide)


def text_is_legible_in_the_light_and_in_the_dark(b):
    """Contrast of at least 4.5 (WCAG 2.1, AA), of text on what lies below it."""
    contrast = """(() => {
        const parse = c => c.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v =>
            v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce(
            (sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = e => {
            for (; e; e = e.parentElement) {
                const c = parse(getComputedStyle(e).backgroundColor);
                if (c.length < 4 || c[3] > 0) return c;
            }
            return [255, 255, 255];
        };
        return [...document.querySelectorAll('main *:not(svg *)')].filter(e =>
            e.getClientRects().length && [...e.childNodes].some(
                n => n.nodeType === 3 && n.data.trim())).map(e => {
              const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
              return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent];
            }).filter(([c]) => c < 4.5); })()"""
    grounds = set()
    for dark in (False, True):
        b.open(1400, dark)
        low = b.js(contrast)
        assert not low, (dark, low[:5])
        grounds.add(b.js("getComputedStyle(document.body).backgroundColor + "
                         "getComputedStyle(document.documentElement).getPropertyValue('--c1')"))
    assert len(grounds) == 2, grounds


def scripts_are_not_needed(b):
    b.open(1400, scripts=False)
    b.call("Emulation.setScriptExecutionDisabled", value=False)
    assert b.js("document.querySelectorAll('.slider, th button, #tip').length") == 0
    assert b.js("document.querySelectorAll('main table, main figure').length") > 5
    told = b.js("document.querySelectorAll('svg .tip > title').length")
    assert told > 5, told  # browsers show them by themselves


def it_prints(b):
    b.open(1400)
    b.call("Emulation.setEmulatedMedia", media="print")
    assert b.js("getComputedStyle(document.querySelector('.slider')).display") == "none"
    closed = b.js("""[...document.querySelectorAll('details > :not(summary)')].filter(
        e => e.getBoundingClientRect().height === 0 && e.textContent.trim()).length""")
    assert closed == 0, closed
    data = b.call("Page.printToPDF")["data"]
    assert data.startswith("JVBERi0") and len(data) > 20000, len(data)  # %PDF-


CHECKS = [nothing_fails, a_click_sorts_a_table, keys_sort_a_table,
          the_pointer_shows_values, keys_show_values,
          the_slider_walks_through_layers, a_telephone_reads_it,
          text_is_legible_in_the_light_and_in_the_dark, scripts_are_not_needed,
          it_prints]

failed = 0
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    browser = Browser(os.environ.get("CHROMIUM", "chromium"), folder)
    try:
        for check in CHECKS:
            name = check.__name__.replace("_", " ")
            try:
                check(browser)
                print("ok -", name)
            except Exception as e: # the others are tried, too
                failed += 1
                print("not ok -", name, "\n#", str(e).replace("\n", "\n# ")[:2000])
    finally:
        os.close(browser.write)
        browser.process.kill()
        browser.process.wait()
print(f"1..{len(CHECKS)}")
print(f"{len(CHECKS) - failed} passed, {failed} failed")
sys.exit(failed > 0)
