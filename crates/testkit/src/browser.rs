//! A headless Chromium, spoken to over a pair of pipes (Chrome DevTools Protocol, `--remote-debugging-pipe`:
//! one JSON message after the other, each ended by a zero byte).

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For one answer, one page to load, one thing to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page open. It dies with its test.
pub struct Browser {
    child: Child,
    _profile: TempDir,
    orders: File,
    messages: Receiver<Value>,
    next: u64,
    session: Option<String>,
    /// What the page complained about: errors in scripts, refused resources, failed requests.
    complaints: Vec<String>,
    /// How many times a page has finished loading.
    loads: u64,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    /// `en` or `ko`
    pub lang: &'static str,
    /// `light` or `dark`
    pub theme: &'static str,
}

impl Browser {
    /// # Errors
    /// When there is no `chromium`, or it does not answer.
    pub fn start() -> Result<Browser> {
        let profile = tempfile::Builder::new().prefix("chromium").tempdir()?;
        let (ours_in, orders) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (answers, ours_out) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let child = launch(&profile, ours_in, ours_out)?;
        let (send, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(File::from(answers)).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { continue };
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            _profile: profile,
            orders: File::from(orders),
            messages,
            next: 0,
            session: None,
            complaints: Vec::new(),
            loads: 0,
        };
        browser.open()?;
        Ok(browser)
    }

    fn open(&mut self) -> Result<()> {
        let target = self.order("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.order("Target.attachToTarget", attach)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.order(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    /// Signs in with a session's cookie and looks as told.
    pub fn look(&mut self, url: &str, session: Option<&str>, look: Look) -> Result<()> {
        let cookies = [
            ("naru_session", session.unwrap_or("")),
            ("naru_lang", look.lang),
            ("naru_theme", look.theme),
        ];
        for (name, value) in cookies.iter().filter(|c| !c.1.is_empty()) {
            let cookie = json!({ "name": name, "value": value, "url": url });
            self.order("Network.setCookie", cookie)?;
        }
        let height = if look.width < 600 { 844 } else { 900 };
        let metrics = json!({ "width": look.width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.order("Emulation.setDeviceMetricsOverride", metrics)?;
        Ok(())
    }

    /// A device that makes and shows passkeys without asking anybody: a phone whose owner always agrees (Web
    /// Authentication, level 3, §11.3).
    pub fn with_passkeys(&mut self) -> Result<()> {
        self.order("WebAuthn.enable", json!({ "enableUI": false }))?;
        let device = json!({ "options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
        } });
        self.order("WebAuthn.addVirtualAuthenticator", device).map(drop)
    }

    /// Forgets every cookie: a browser that was never here.
    pub fn forget(&mut self) -> Result<()> {
        self.order("Network.clearBrowserCookies", json!({})).map(drop)
    }

    pub fn without_scripts(&mut self) -> Result<()> {
        self.order("Emulation.setScriptExecutionDisabled", json!({ "value": true })).map(drop)
    }

    /// Goes to an address and waits until its page has loaded.
    pub fn go(&mut self, url: &str) -> Result<()> {
        let before = self.loads;
        let gone = self.order("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = gone["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        self.loaded(before)
    }

    /// Does what leads to another page (a key, a click), and waits until that has loaded.
    pub fn led_on(&mut self, act: impl FnOnce(&mut Browser) -> Result<()>) -> Result<()> {
        let before = self.loads;
        act(self)?;
        self.loaded(before)
    }

    fn loaded(&mut self, before: u64) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.loads == before {
            let message =
                self.messages.recv_timeout(until.saturating_duration_since(Instant::now()));
            self.hear(&message.context("no page was loaded")?);
        }
        Ok(())
    }

    /// What a JavaScript expression of the page is worth.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let order =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.order("Runtime.evaluate", order)?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression}: {}", answer["exceptionDetails"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true, looking again whenever the page changes.
    pub fn until(&mut self, condition: &str) -> Result<()> {
        let millis = PATIENCE.as_millis() - 2_000;
        let watch = format!(
            "new Promise((done) => {{
                const look = () => {{ if ({condition}) done(true); }};
                const all = {{ subtree: true, childList: true, attributes: true, characterData: true }};
                new MutationObserver(look).observe(document, all);
                setTimeout(() => done(false), {millis});
                look();
            }})"
        );
        if self.eval(&watch)? != json!(true) {
            let page = self.eval("document.body.innerText")?;
            bail!("never true: {condition}\n{}", page.as_str().unwrap_or_default());
        }
        Ok(())
    }

    /// The page's words, as a reader sees them.
    pub fn words(&mut self) -> Result<String> {
        Ok(self.eval("document.body.innerText")?.as_str().unwrap_or_default().to_owned())
    }

    /// Presses keys, one after the other. `Enter` and `Escape` go by their names.
    pub fn press(&mut self, keys: &[&str]) -> Result<()> {
        for key in keys {
            let (text, code) = match *key {
                "Enter" => ("\r", 13),
                "Escape" => ("", 27),
                letter => (letter, 0),
            };
            let mut order = json!({ "key": key, "windowsVirtualKeyCode": code });
            for (kind, text) in [("keyDown", text), ("keyUp", "")] {
                order["type"] = json!(kind);
                order["text"] = json!(text);
                self.order("Input.dispatchKeyEvent", order.clone())?;
            }
        }
        Ok(())
    }

    /// Clicks the first element of a selector, with the mouse where it is, scripts or not.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let node = self.node(selector)?;
        let quads = self.order("DOM.getContentQuads", json!({ "nodeId": node }))?;
        let corner = |i: usize| quads["quads"][0][i].as_f64().context("nothing to click");
        let (x, y) = ((corner(0)? + corner(4)?) / 2.0, (corner(1)? + corner(5)?) / 2.0);
        for kind in ["mousePressed", "mouseReleased"] {
            let order = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.order("Input.dispatchMouseEvent", order)?;
        }
        Ok(())
    }

    /// Types into the first element of a selector.
    pub fn fill(&mut self, selector: &str, words: &str) -> Result<()> {
        let node = self.node(selector)?;
        self.order("DOM.focus", json!({ "nodeId": node }))?;
        self.order("Input.insertText", json!({ "text": words })).map(drop)
    }

    fn node(&mut self, selector: &str) -> Result<Value> {
        let document = self.order("DOM.getDocument", json!({}))?;
        let root = &document["root"]["nodeId"];
        let found =
            self.order("DOM.querySelector", json!({ "nodeId": root, "selector": selector }))?;
        if found["nodeId"] == json!(0) {
            bail!("there is no {selector}");
        }
        let node = json!({ "nodeId": found["nodeId"] });
        self.order("DOM.scrollIntoViewIfNeeded", node)?;
        Ok(found["nodeId"].clone())
    }

    /// Takes what the pages complained about since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        while let Ok(message) = self.messages.try_recv() {
            self.hear(&message);
        }
        std::mem::take(&mut self.complaints)
    }

    fn order(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&order)?;
        bytes.push(0);
        self.orders.write_all(&bytes)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let message =
                self.messages.recv_timeout(rest).with_context(|| format!("{method}: no answer"))?;
            if message["id"] == json!(id) {
                if let Some(error) = message["error"]["message"].as_str() {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].clone());
            }
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Value) {
        let params = &message["params"];
        let said = match message["method"].as_str() {
            Some("Page.loadEventFired") => {
                self.loads += 1;
                return;
            }
            Some("Runtime.exceptionThrown") => {
                params["exceptionDetails"]["exception"]["description"].as_str()
            }
            Some("Runtime.consoleAPICalled") if params["type"] == json!("error") => {
                params["args"][0]["value"].as_str()
            }
            Some("Log.entryAdded") if params["entry"]["level"] == json!("error") => {
                params["entry"]["text"].as_str()
            }
            _ => return,
        };
        let place = params["entry"]["url"].as_str().unwrap_or_default();
        self.complaints.push(format!("{} {place}", said.unwrap_or("an error")));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium reads orders from descriptor 3 and answers on 4.
fn launch(profile: &TempDir, orders: OwnedFd, answers: OwnedFd) -> Result<Child> {
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--remote-debugging-pipe", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: dup, dup2 and prctl are async-signal-safe, and the descriptors made here are given away at
    // once. The first pair keeps clear of 3 and 4, so that neither is overwritten before it is moved.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 20);
            let (orders, answers) = (high(&orders)?, high(&answers)?);
            for (from, to) in [(orders, 3), (answers, 4)] {
                let mut place = OwnedFd::from_raw_fd(to);
                let moved = rustix::io::dup2(&from, &mut place);
                debug_assert_eq!(place.as_raw_fd(), to);
                let _ = place.into_raw_fd();
                moved?;
            }
            Ok(())
        });
    }
    command.spawn().context("start chromium")
}
