"""The player in headless Chromium, without a kernel: nbs/830_widgets.player.ipynb sees which frames it draws."""

import base64
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
STATE = ("frame", "lead", "visible", "playing", "speed", "loop", "follow", "group", "shift", "edit")


def in_browser(player, acts, init="", shot=None):
    """The frames that were drawn for each (act, wanted frames), the decoder, and what the page complained about.

    An act is `slider` or the name of a key. `init` is run before the page; `shot` is a file for a picture of it.
    """
    text = lambda data: base64.b64encode(data).decode()
    state = {k: v for k, v in player.get_state().items() if k in STATE}
    buffers = [text(b.tobytes()) for b in player._buffers]
    programs = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))

    def go():
        from playwright.sync_api import sync_playwright

        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=next(programs), args=["--no-sandbox", "--disable-gpu"])
            page, complaints = browser.new_page(viewport=dict(width=760, height=620)), []
            page.on("pageerror", lambda e: complaints.append(str(e)))
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            page.add_init_script(init)
            empty = dict(body="<!doctype html><body>", content_type="text/html")
            page.route("http://localhost/**", lambda r: r.fulfill(**empty))
            page.goto("http://localhost/")
            page.evaluate(SCRIPT)
            shown = [player._esm, state, player._header, buffers, text(player._video["data"])]
            source = page.evaluate("(player) => harness.show(player)", shown)
            drawn = [page.evaluate("(act) => harness.drawn(act)", list(act)) for act in acts]
            if shot:
                page.screenshot(path=shot)
            browser.close()
            return source, drawn, complaints

    return ThreadPoolExecutor(1).submit(go).result()  # Playwright wants a thread of its own inside a running kernel
