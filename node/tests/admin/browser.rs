//! A headless Chromium, driven over the pipe of its DevTools protocol: messages of JSON, each ended by a zero byte.
//!
//! What must hold: it asks nobody but the pages under test, keeps nothing after its end, and everything that its console
//! said, every error of a page and every request is known to the test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A browser starts within seconds; this is a hang.
const START_LIMIT: Duration = Duration::from_secs(30);
/// One answer of the browser, and one wait for a page to be as it should.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at a page.
const LOOK: Duration = Duration::from_millis(40);

/// Nothing of the machine's, nothing in the background, nothing to other hosts.
const FLAGS: [&str; 16] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    folder: PathBuf,
    commands: File,
    messages: Receiver<Value>,
    session: String,
    next_id: u64,
    /// What its pages complained of.
    pub(crate) complaints: Vec<String>,
    /// Addresses that were asked, but for those of the page's own data.
    pub(crate) requested: Vec<String>,
}

impl Browser {
    /// Starts a browser, or says why there is none.
    pub(crate) fn start(name: &str) -> Result<Self, String> {
        let program =
            ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_there(name));
        let program = program.ok_or("there is no chromium")?;
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{name}-{}", std::process::id()));
        // Of an earlier process with the same number.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the browser's folder can be made");
        let pipes = ["commands", "messages"].map(|name| folder.join(name));
        let made = Command::new("mkfifo").args(&pipes).status().expect("mkfifo can be run");
        assert!(made.success());
        let process = Command::new("sh")
            // The numbers on which the browser reads and writes.
            .args(["-c", "exec \"$@\" 3<\"$COMMANDS\" 4>\"$MESSAGES\"", "sh", program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg("about:blank")
            .env("COMMANDS", &pipes[0])
            .env("MESSAGES", &pipes[1])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("errors")).expect("the browser's errors can be kept"))
            .spawn()
            .expect("a shell can be run");
        // Each waits for the other end, in this order.
        let commands = File::options().write(true).open(&pipes[0]).expect("the pipe opens");
        let answers = File::open(&pipes[1]).expect("the pipe opens");
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let parts = BufReader::new(answers).split(0).map_while(Result::ok);
            let mut values = parts.filter_map(|part| serde_json::from_slice(&part).ok());
            values.try_for_each(|value| sender.send(value)).ok()
        });
        let mut browser = Self {
            process,
            folder,
            commands,
            messages,
            session: String::new(),
            next_id: 0,
            complaints: Vec::new(),
            requested: Vec::new(),
        };
        browser.open_page();
        Ok(browser)
    }

    fn open_page(&mut self) {
        let made = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&command).expect("JSON");
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap_or_else(|error| panic!("{error}: {}", self.errors()));
        let deadline = Instant::now() + if id == 1 { START_LIMIT } else { PATIENCE };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("{method}: {error}: {}", self.errors()));
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.take_note(&message);
        }
    }

    fn take_note(&mut self, message: &Value) {
        let what = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(what["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if what["type"] == "error" || what["type"] == "warning" => {
                self.complaints.push(what["args"].to_string());
            }
            "Log.entryAdded" if what["entry"]["level"] == "error" => {
                self.complaints.push(what["entry"].to_string());
            }
            "Network.requestWillBeSent" => {
                let url = what["request"]["url"].as_str().unwrap_or_default();
                if !url.starts_with("data:") {
                    self.requested.push(url.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Goes to an address and waits until the page is there.
    pub(crate) fn go(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {}", gone["errorText"]);
        self.until("the page is loaded", "document.readyState === 'complete'");
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Text that the page shows.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let found = self.value(&format!("document.querySelector({})?.innerText ?? ''", json!(selector)));
        found.as_str().expect("text").to_owned()
    }

    /// Waits until an expression holds; how long it took.
    pub(crate) fn until(&mut self, what: &str, expression: &str) -> Duration {
        let begun = Instant::now();
        while self.value(expression) != true {
            if begun.elapsed() > PATIENCE {
                let text = self.text("body");
                panic!("not so after {PATIENCE:?}: {what}\n{:?}\nthe page:\n{text}", self.complaints);
            }
            std::thread::sleep(LOOK);
        }
        begun.elapsed()
    }

    /// Waits until the page shows a text somewhere.
    pub(crate) fn until_text(&mut self, selector: &str, text: &str) -> Duration {
        let has = format!(
            "(document.querySelector({})?.innerText ?? '').includes({})",
            json!(selector),
            json!(text)
        );
        self.until(&format!("{selector} has {text:?}"), &has)
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let code =
            BTreeMap::from([("Tab", 9), ("Enter", 13), ("Escape", 27), ("ArrowLeft", 37), (" ", 32)])[key];
        let text = BTreeMap::from([("Enter", "\r"), (" ", " ")]);
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let Some(text) = text.get(key).filter(|_| kind == "keyDown") {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types a text into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// The size of the window, as of a phone or of a desk; dark or light.
    pub(crate) fn look_like(&mut self, width: u32, height: u32, is_dark: bool) {
        let is_phone = width < 700;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Keeps a picture of the page beside the tests' other output; where.
    pub(crate) fn picture(&mut self, name: &str) -> PathBuf {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = decoded(shot["data"].as_str().expect("a picture"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
        fs::create_dir_all(&folder).expect("the folder of pictures can be made");
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, bytes).expect("a picture can be kept");
        path
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.folder.join("errors")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its other processes when it is asked to end, and when its pipe does.
        let close = b"{\"id\":0,\"method\":\"Browser.close\"}\0";
        let asked = self.commands.write_all(close);
        let deadline = Instant::now() + Duration::from_secs(3);
        while asked.is_ok() && Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A folder that stays behind costs space, not the result.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// What base64 with padding stands for.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |character: u8| match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|character| *character != b'=').map(digit).collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let bits =
            group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        let all = bits.to_be_bytes();
        bytes.extend(&all[1..group.len()]);
    }
    bytes
}
