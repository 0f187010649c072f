//! The dashboard in a real browser: Chromium without a window, driven over WebDriver.
//!
//! Screenshots are left under `target/tmp/screenshots`, light and dark, wide and narrow: to be looked at, not compared.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use recapture_simulator::Faults;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::harness::{Bench, plain, text};
use crate::serving::Service;

const TOKEN: &str = "0perat0r";
const VIEWER: &str = "v1ewer";
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Texts that do not stand out from what is behind them, by the ratios of WCAG 2 (AA).
const FAINT: &str = "
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const parts = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const behind = (element) => {
      if (!element) return parts(matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff');
      const [r, g, b, a] = parts(getComputedStyle(element).backgroundColor);
      if (a === 1) return [r, g, b];
      const below = behind(element.parentElement);
      return [r, g, b].map((part, at) => part * a + below[at] * (1 - a));
    };
    const light = (color) => {
      const [r, g, b] = color.slice(0, 3).map((part) => {
        part /= 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = [];
    for (const element of document.querySelectorAll('body, body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own || !element.checkVisibility() || element.closest('.visually-hidden, script, style, textarea')) continue;
      const style = getComputedStyle(element);
      const [front, back] = [light(parts(style.color)), light(behind(element))];
      const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 120)}`);
    }
    return faint;";

/// What can be reached by the keyboard.
const REACHED: &str = "const reached = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), \
    textarea, summary, [tabindex=\"0\"]')].filter((element) => element.checkVisibility());";

struct Browser {
    driver: Child,
    session: String,
    http: reqwest::Client,
}

impl Browser {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("this test needs Debian's chromium and chromium-driver: run tests/install-tools");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("the driver ended");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // It must not stop for somebody who reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = recapture_core::http::client().unwrap();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
                "--window-size=1280,1000", "--lang=en" ] },
        } } });
        let base = format!("http://127.0.0.1:{port}");
        let answer = http.post(format!("{base}/session")).json(&capabilities).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        let session = format!("{base}/session/{id}");
        Self { driver, session, http }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.answer_to(path, body).await;
        assert!(answer["error"].is_null(), "{path}: {answer}");
        answer
    }

    async fn answer_to(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        answer["value"].take()
    }

    async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    async fn element(&self, css: &str) -> String {
        let found = self.post("/element", json!({ "using": "css selector", "value": css })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn click(&self, css: &str) {
        self.act(css, "click", json!({})).await;
    }

    async fn write(&self, css: &str, keys: &str) {
        self.act(css, "value", json!({ "text": keys })).await;
    }

    /// Does something to an element; to its successor, if the page was renewed since it was found.
    async fn act(&self, css: &str, what: &str, body: Value) {
        loop {
            let element = self.element(css).await;
            let answer = self.answer_to(&format!("/element/{element}/{what}"), body.clone()).await;
            if answer["error"].is_null() {
                return;
            }
            assert_eq!(answer["error"], "stale element reference", "{what} {css}: {answer}");
        }
    }

    /// Returns when the page, as it is or as it changes by itself, holds the words.
    async fn shows(&self, words: &str) {
        let script = "const [words, done] = arguments;
            const look = () => document.body.innerText.includes(words) && (watch.disconnect(), done(true));
            const watch = new MutationObserver(look);
            watch.observe(document.body, { childList: true, subtree: true, characterData: true });
            look();";
        self.post("/timeouts", json!({ "script": 30_000 })).await;
        let began = Instant::now();
        loop {
            let asked = json!({ "script": script, "args": [words] });
            let answer = self.http.post(format!("{}/execute/async", self.session)).json(&asked).send();
            let answer: Value = answer.await.unwrap().json().await.unwrap();
            if answer["value"] == true {
                return;
            }
            // A page that is left takes along whoever waits on it; the next one is looked at then.
            if began.elapsed() > Duration::from_secs(60) {
                let text = self.run("return document.body.innerText").await;
                panic!("no '{words}' in: {text}");
            }
        }
    }

    async fn protocol(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The whole page, light and dark, wide and narrow.
    async fn photograph(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        for (shape, width) in [("wide", 1280), ("narrow", 390)] {
            for scheme in ["light", "dark"] {
                let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
                self.protocol("Emulation.setEmulatedMedia", json!({ "features": feature })).await;
                let metrics =
                    json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
                self.protocol("Emulation.setDeviceMetricsOverride", metrics).await;
                assert_eq!(self.run(FAINT).await, json!([]), "{name}, {scheme}");
                let beyond = json!({ "format": "png", "captureBeyondViewport": true });
                let shot = self.protocol("Page.captureScreenshot", beyond).await;
                let file = folder.join(format!("{name}-{shape}-{scheme}.png"));
                std::fs::write(file, decode(shot["data"].as_str().unwrap())).unwrap();
                let overflow = self.run("return document.documentElement.scrollWidth > innerWidth").await;
                assert_eq!(overflow, json!(false), "{name} is wider than a {shape} screen");
                let out_of_reach = "return [...document.querySelectorAll('td button')].some((button) =>
                    button.getBoundingClientRect().right > innerWidth)";
                assert_eq!(self.run(out_of_reach).await, json!(false), "{name}: a button, {shape}");
            }
        }
        self.protocol("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// What nobody should have to look for: fields without a name, tables without heads, jumps between headings.
    async fn is_for_everyone(&self) {
        let faults = self
            .run(
                "const faults = [];
            for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select'))
              if (!field.labels.length) faults.push('no label: ' + field.outerHTML);
            for (const button of document.querySelectorAll('button, a'))
              if (!button.textContent.trim()) faults.push('no name: ' + button.outerHTML);
            for (const table of document.querySelectorAll('table')) {
              if (!table.querySelector('th[scope]')) faults.push('no heads: ' + table.outerHTML);
              const name = document.getElementById(table.getAttribute('aria-labelledby'));
              if (!name) faults.push('no name: ' + table.getAttribute('aria-labelledby'));
            }
            let level = 0;
            for (const heading of document.querySelectorAll('h1, h2, h3')) {
              if (heading.tagName[1] - level > 1) faults.push('a jump to ' + heading.outerHTML);
              level = Number(heading.tagName[1]);
            }
            if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
            if (!document.documentElement.lang || !document.querySelector('main')) faults.push('no language or main');
            const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
            if (new Set(ids).size !== ids.length) faults.push('an id twice: ' + ids);
            return faults;",
            )
            .await;
        assert_eq!(faults, json!([]));
    }

    /// Tab goes to everything that can be used, in its order on the page, and shows where it is.
    async fn is_walked_by_keyboard(&self) {
        self.run("document.activeElement.blur(); scrollTo(0, 0)").await;
        let count = self.run(&format!("{REACHED} return reached.length")).await.as_u64().unwrap();
        assert!(count > 5, "{count}");
        let keys =
            json!([{ "type": "keyDown", "value": "\u{e004}" }, { "type": "keyUp", "value": "\u{e004}" }]);
        let tab = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        for at in 0..count {
            self.post("/actions", tab.clone()).await;
            let script = format!(
                "{REACHED} const element = document.activeElement, style = getComputedStyle(element);
                 return [reached.indexOf(element), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 1,
                         element.outerHTML.slice(0, 120)]"
            );
            let there = self.run(&script).await;
            assert_eq!((&there[0], &there[1]), (&json!(at), &json!(true)), "step {at} of {count}: {there}");
        }
    }

    /// Loads the page until it is so.
    async fn opens_until(&self, url: &str, condition: &str) {
        let began = Instant::now();
        loop {
            self.open(url).await;
            if self.run(&format!("return {condition}")).await == json!(true) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "never: {condition}");
        }
    }

    /// Returns when the page has all that belongs to it.
    async fn has_loaded(&self) {
        let script = "const [done] = arguments;
            if (document.readyState === 'complete') done(true); else addEventListener('load', () => done(true));";
        let loaded = self.post("/execute/async", json!({ "script": script, "args": [] })).await;
        assert_eq!(loaded, json!(true));
    }

    /// Nothing that the browser had to complain of, as of the policy of the page.
    async fn has_no_complaint(&self) {
        let log = self.post("/se/log", json!({ "type": "browser" })).await;
        let severe: Vec<_> =
            log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE").collect();
        assert_eq!(severe, Vec::<&Value>::new());
    }

    async fn end(mut self) {
        let _ = self.http.delete(&self.session).send().await;
        self.driver.kill().await.unwrap();
    }
}

/// Base64.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|byte| *byte != b'=').map(|byte| digit(byte).into()).collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let whole = group.iter().enumerate().fold(0, |whole, (at, digit)| whole | digit << (18 - 6 * at));
        bytes.extend_from_slice(&whole.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_is_begun_watched_and_mended_in_a_browser() {
    let mut bench = Bench::start(plain(8)).await;
    bench.set("queue.max_attempts", "1").set("automatic.enabled", "false");
    bench.set("server.token", &text(TOKEN)).set("server.viewer_token", &text(VIEWER));
    bench.simulator.set_faults(Faults { html_200: 1.0, relentless: true, ..Faults::default() });
    let service = Service::start(&mut bench).await;
    let browser = Browser::start().await;

    browser.open(&service.url).await;
    browser.shows("Token of an operator or a viewer").await;
    browser.photograph("login").await;
    browser.is_for_everyone().await;
    browser.write("#token", "wrong\u{e007}").await;
    browser.shows("This is no token of this service").await;
    // What the browser says of the answer to a wrong token is no complaint of ours.
    browser.post("/se/log", json!({ "type": "browser" })).await;
    browser.write("#token", &format!("{TOKEN}\u{e007}")).await;
    browser.shows("No recovery yet").await;
    browser.shows("Live").await;
    // A browser keeps no page to go back to that was left while it still loaded.
    browser.has_loaded().await;
    assert_eq!(browser.run("return document.cookie").await, json!(""), "the session is not the script's");

    browser.click("#begin summary").await;
    browser.photograph("begin").await;
    let [from, to] = bench.period();
    let date = |at: &str| at.split('T').next().unwrap().to_owned();
    let (from, to) = (date(from), chrono_day_after(&date(to)));
    browser
        .run(&format!(
            "document.getElementById('from').value = '{from}'; document.getElementById('to').value = '{to}'"
        ))
        .await;
    browser.write("#by", "<script>alert('by')</script>").await;
    browser.write("#reason", "a \"reason\" & more").await;
    browser.click("button[value=look]").await;
    browser.shows("Nothing was changed").await;
    browser.photograph("plan").await;
    browser.run("history.back()").await;
    browser.shows("Start a recovery").await;
    browser.run(&format!("document.getElementById('begin').open = true; document.getElementById('from').value = '{from}'; document.getElementById('to').value = '{to}'")).await;
    browser.run("for (const [id, value] of [['by', \"<script>alert('by')</script>\"], ['reason', 'a \"reason\" & more']]) document.getElementById(id).value = value").await;
    browser.click("button[value=recover]").await;
    browser.shows("Requested by").await;
    browser.run("window.same = true").await;
    browser.shows("Retry all 8 that failed").await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was not loaded again");
    let shown = browser.run("return document.body.innerText").await;
    assert!(shown.as_str().unwrap().contains("<script>alert('by')</script>"), "what was typed is text");
    browser.shows("not_the_file").await;
    browser.is_for_everyone().await;
    browser.photograph("failed").await;
    browser.open(&format!("{}/dead", service.url)).await;
    browser.shows("not_the_file").await;
    browser.photograph("dead").await;
    browser.is_for_everyone().await;
    browser.run("history.back()").await;
    browser.shows("Retry all 8 that failed").await;

    bench.simulator.set_faults(Faults::default());
    browser.click("#failing button").await;
    browser.shows("Retry all 7 that failed").await;
    browser.shows("Slowest meetings").await;
    browser.click("#actions form[action$=retry] button").await;
    browser.shows("8 of 8").await;
    browser.shows("Reconciled").await;
    browser.run("document.activeElement.blur()").await;
    browser.shows("Throughput").await;
    browser.photograph("run").await;
    for (path, words) in [
        ("/", "8 of 8"),
        ("/coverage", "Automatic recovery is off"),
        ("/workers", "requests for the files of meetings in the last hour"),
    ] {
        browser.open(&format!("{}{path}", service.url)).await;
        browser.shows(words).await;
        browser.is_for_everyone().await;
        browser.photograph(if path == "/" { "recoveries" } else { &path[1..] }).await;
    }
    browser.has_no_complaint().await;

    browser.click("header form button").await;
    browser.shows("Token of an operator or a viewer").await;
    browser.write("#token", &format!("{VIEWER}\u{e007}")).await;
    browser.shows("8 of 8").await;
    assert_eq!(browser.run("return document.querySelectorAll('main form').length").await, json!(0));
    browser.open(&format!("{}/docs", service.url)).await;
    browser.shows("/v1/recoveries/{id}/meetings").await;
    browser.is_for_everyone().await;
    browser.photograph("docs").await;
    browser.end().await;
    service.stopped().await;
    bench.assert_all_recovered();
}

/// The date after one that is written `2026-10-01`; a month's end need not be right for a period's end.
fn chrono_day_after(date: &str) -> String {
    let (month, day) = date.rsplit_once('-').unwrap();
    let day: u32 = day.parse().unwrap();
    if day >= 28 { date.to_owned() } else { format!("{month}-{:02}", day + 1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_covered_is_a_calendar() {
    let mut bench = Bench::start(plain(3)).await;
    bench.set("automatic.enabled", "true").set("automatic.lookback", &text("10d"));
    bench.set("automatic.settle", &text("1s"));
    let service = Service::start(&mut bench).await;
    let browser = Browser::start().await;
    let cells = |class: &str| format!("document.querySelectorAll('td.{class}').length");
    browser.opens_until(&format!("{}/coverage", service.url), &format!("{} >= 10", cells("full"))).await;
    browser.shows("looks for missing meetings").await;
    browser.shows("None.").await;
    // A page looks for news by itself, and would complain of a service that is gone.
    browser.open("about:blank").await;
    service.stopped().await;

    // More is to be covered, and Zoom is away: of twenty days the first ten are a gap, that of the old beginning in part.
    bench.set("automatic.lookback", &text("20d"));
    bench.simulator.set_faults(Faults { server_error: 1.0, relentless: true, ..Faults::default() });
    let service = Service::start(&mut bench).await;
    let gap = format!("{} >= 9 && {} >= 1 && {} >= 9", cells("hole"), cells("half"), cells("full"));
    browser.opens_until(&format!("{}/coverage", service.url), &gap).await;
    let words = browser.run(
        "return document.querySelector('td.half').innerText + document.querySelector('td.hole').innerText",
    );
    let words = words.await.as_str().unwrap().to_owned();
    assert!(words.contains("partly") && words.contains("gap"), "{words}");
    for dimension in ["meeting_start_time", "archive_complete_time"] {
        browser.shows(dimension).await;
    }
    browser.is_for_everyone().await;
    browser.photograph("calendar").await;
    browser.is_walked_by_keyboard().await;
    browser.has_no_complaint().await;
    browser.end().await;
    service.process.signal(Signal::TERM);
    service.process.end().await.exits(0);
}

/// A run that takes its time: who holds what, what waits, and the buttons that stop it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_seen_held_and_cancelled() {
    let mut bench = Bench::start(plain(60)).await;
    bench.set("worker.concurrency", "1");
    bench.simulator.set_faults(Faults { latency_ms: 1000, ..Faults::default() });
    let service = Service::start(&mut bench).await;
    let browser = Browser::start().await;
    browser.open(&service.url).await;
    browser.shows("No recovery yet").await;
    browser.is_walked_by_keyboard().await;
    let [from, to] = bench.period();
    let order = recapture_core::http::client().unwrap().post(format!("{}/v1/recoveries", service.url));
    let begun = order.json(&json!({ "from": from, "to": to, "by": "ops" })).send().await.unwrap();
    let begun: Value = begun.json().await.unwrap();
    let run = format!("{}/runs/{}", service.url, begun["id"].as_str().unwrap());

    browser.open(&run).await;
    browser.shows("stored from").await;
    browser.shows("Time left").await;
    let bars = browser.run("return document.querySelectorAll('#throughput rect').length").await;
    assert!(bars.as_u64().unwrap() >= 2, "{bars}");
    browser.is_for_everyone().await;
    browser.photograph("under-way").await;
    browser
        .opens_until(
            &format!("{}/workers", service.url),
            "document.querySelectorAll('#workers td a').length > 0",
        )
        .await;
    browser.photograph("holding").await;
    browser.open(&service.url).await;
    browser.shows("Zoom deletes within").await;
    let row = "return [...document.querySelectorAll('#ahead td.number')].at(-1).innerText";
    assert_ne!(browser.run(row).await, json!("0"), "all of them within 30 days");
    browser.photograph("deadlines").await;

    browser.open(&run).await;
    browser.click("#actions form[action$=pause] button").await;
    browser.shows("Resume").await;
    browser.shows("held by a pause").await;
    browser.is_walked_by_keyboard().await;
    browser.click("#actions form[action$=resume] button").await;
    browser.shows("Pause").await;
    browser.click("#cancel summary").await;
    browser.photograph("cancelling").await;
    browser.click("#cancel form button").await;
    browser.shows("cancelled").await;
    browser.has_no_complaint().await;
    browser.end().await;
    bench.simulator.set_faults(Faults::default());
    service.stopped().await;
}

/// A page that stays open while the service goes away, is refused by what stands before it, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_listens_again_and_leads_to_the_log_in() {
    let mut bench = Bench::start(plain(1)).await;
    bench.set("server.token", &text(TOKEN));
    let service = Service::start(&mut bench).await;
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    bench.set("server.listen", &text(&address));
    let browser = Browser::start().await;
    browser.open(&service.url).await;
    browser.write("#token", &format!("{TOKEN}\u{e007}")).await;
    browser.shows("Live").await;
    service.stopped().await;
    browser.shows("Not connected; trying again").await;

    // A proxy whose service is away.
    let proxy = TcpListener::bind(&address).await.unwrap();
    loop {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = BufReader::new(&mut stream).lines();
        let request = head.next_line().await.unwrap().unwrap_or_default();
        while head.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        let refusal = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        if request.contains("/v1/events") {
            break;
        }
    }
    drop(proxy);
    let service = Service::with(&bench, &[]).await;
    browser.shows("Live").await;
    service.stopped().await;

    bench.set("server.token", &text("another"));
    let service = Service::with(&bench, &[]).await;
    browser.shows("Token of an operator or a viewer").await;
    browser.end().await;
    service.stopped().await;
}

/// As a browser without a script, and as one that is led by another site.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_whole_without_a_script_and_forms_are_those_of_the_session() {
    let mut bench = Bench::start(plain(2)).await;
    bench.set("server.token", &text(TOKEN));
    let service = Service::start(&mut bench).await;
    let http = recapture_core::http::client().unwrap();
    let url = |path: &str| format!("{}{path}", service.url);
    let login = http.get(url("/")).send().await.unwrap();
    assert_eq!((login.status().as_u16(), &login.headers()["location"]), (303, &"/login".parse().unwrap()));
    let answer = http.post(url("/login")).form(&[("token", TOKEN)]).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = http.get(url("/")).header("cookie", &cookie).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = page.text().await.unwrap();
    for words in ["<h1>Recoveries</h1>", "Start a recovery", "Deadlines ahead", "Skip to the content"] {
        assert!(page.contains(words), "{words}");
    }
    let proof = page.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let uuid = bench.simulator.truth().next().unwrap().uuid;
    let form = |proof: &str| {
        vec![("proof", proof.to_owned()), ("do", "recover".to_owned()), ("meetings", uuid.clone())]
    };
    let post = |proof: &str| http.post(url("/runs")).header("cookie", &cookie).form(&form(proof));
    assert_eq!(post("forged").send().await.unwrap().status(), 403);
    assert_eq!(post(&proof).header("origin", "http://evil.example").send().await.unwrap().status(), 403);
    assert_eq!(
        http.post(url("/runs")).form(&form(&proof)).send().await.unwrap().status(),
        303,
        "to the log-in"
    );
    let api = http.post(url("/v1/recoveries")).header("cookie", &cookie).json(&json!({ "last": "1d" }));
    assert_eq!(api.send().await.unwrap().status(), 403, "a session is for the dashboard");
    let begun = post(&proof).send().await.unwrap();
    assert_eq!(begun.status(), 303);
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    // A button that is pressed twice begins one run; what is asked for in other words is another.
    let key = page.split("name=\"key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let keyed = async |reason: &str| {
        let more = vec![("key", key.clone()), ("reason", reason.to_owned())];
        let form = [form(&proof), more].concat();
        let answer = http.post(url("/runs")).header("cookie", &cookie).form(&form).send().await.unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let first = keyed("once").await;
    assert_eq!(first, keyed("once").await);
    assert_ne!(first, keyed("again").await);
    assert_ne!(first, place);
    let run = http.get(url(&place)).header("cookie", &cookie).send().await.unwrap().text().await.unwrap();
    assert!(run.contains("a client at 127.0.0.1"), "{run}");
    let refused =
        http.post(url("/runs")).header("cookie", &cookie).form(&[("proof", &proof)]).send().await.unwrap();
    assert_eq!(refused.status(), 422);
    assert!(refused.text().await.unwrap().contains("what to recover is"));
    service.stopped().await;
}
