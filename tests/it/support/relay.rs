//! The relay as its users have it: the real binary, in an empty folder, on free ports.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::{Client, FAL_KEY, FAL_SECRET};

/// The binary under test, with nothing of the tester's environment that could reach the real fal.
pub(crate) fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fal-relay"));
    command.current_dir(folder).env_clear();
    for kept in ["PATH", "HOME", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// A running relay. When it is dropped it is stopped, and it must have neither panicked nor written a secret.
pub(crate) struct Relay {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: Arc<TempDir>,
    /// The key of the first start.
    pub(crate) key: String,
    /// The operator's token of the first start.
    pub(crate) token: String,
    settings: Vec<(String, String)>,
    sandbox: bool,
    child: Child,
    readers: Vec<JoinHandle<()>>,
    output: Arc<Mutex<String>>,
}

impl Relay {
    /// A relay in front of a fal at `base`.
    pub(crate) fn before(base: &str) -> Self {
        Self::with(base, &[])
    }

    /// The same with more settings.
    pub(crate) fn with(base: &str, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("FAL_KEY".to_owned(), FAL_KEY.to_owned()),
            ("FAL_RELAY_UPSTREAM__QUEUE_URL".to_owned(), format!("{base}/queue")),
            ("FAL_RELAY_UPSTREAM__RUN_URL".to_owned(), format!("{base}/run")),
            ("FAL_RELAY_UPSTREAM__REST_URL".to_owned(), format!("{base}/rest")),
            ("FAL_RELAY_UPSTREAM__CDN_URL".to_owned(), format!("{base}/cdn")),
            ("FAL_RELAY_UPSTREAM__UPLOAD_URLS".to_owned(), format!("{base}/uploads")),
        ];
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::start(Arc::new(tempfile::tempdir().unwrap()), all, false)
    }

    /// `serve --sandbox`.
    pub(crate) fn sandbox(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("FAL_RELAY_SANDBOX__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("FAL_RELAY_SANDBOX__STEP_MS".to_owned(), "20".to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::start(Arc::new(tempfile::tempdir().unwrap()), all, true)
    }

    fn start(folder: Arc<TempDir>, settings: Vec<(String, String)>, sandbox: bool) -> Self {
        let mut command = binary(folder.path());
        command.arg("serve").args(sandbox.then_some("--sandbox"));
        for listener in ["LISTEN", "HTTPS_LISTEN", "ADMIN_LISTEN"] {
            command.env(format!("FAL_RELAY_SERVER__{listener}"), "127.0.0.1:0");
        }
        command.env("FAL_RELAY_RELAY__KEY_CHECK_MS", "20").env("FAL_RELAY_SERVER__WORKERS", "2");
        command.env("FAL_RELAY_LOG__FORMAT", "json");
        // A scripted fal is asked what its test asks, and nothing else.
        command.env("FAL_RELAY_PRICING__SYNC", "off").env("FAL_RELAY_PRICING__RECONCILE", "off");
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let log = collect(child.stderr.take().unwrap(), output.clone());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let banner = banner(&mut stdout);
        let rest = collect(stdout, output.clone());
        let address = |name: &str| row(&banner, name).and_then(|url| authority(&url).parse().ok());
        Self {
            http: address("relay")
                .unwrap_or_else(|| panic!("no address in {banner}\n{}", output.lock().unwrap())),
            https: https(&banner),
            admin: address("operators").unwrap(),
            key: row(&banner, "your key").unwrap_or_default(),
            token: row(&banner, "admin key").unwrap_or_default(),
            folder,
            settings,
            sandbox,
            child,
            readers: vec![log, rest],
            output,
        }
    }

    /// A client of the http listener.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.http)
    }

    /// The address under which that client reaches the relay.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Runs another verb of the binary on the same store, and returns what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let mut command = binary(self.folder.path());
        command.args(arguments).args(self.sandbox.then_some("--sandbox"));
        let output = command.envs(self.settings.iter().map(|(name, value)| (name, value))).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether it is `serve --sandbox`.
    pub(crate) fn in_sandbox(&self) -> bool {
        self.sandbox
    }

    /// A new key of a tenant.
    pub(crate) fn key_of(&self, tenant: &str) -> String {
        self.cli(&["key", "create", "--tenant", tenant]).trim().to_owned()
    }

    /// The ledger's rows.
    pub(crate) fn ledger(&self) -> Vec<serde_json::Value> {
        let lines = self.cli(&["ledger", "export", "--format", "jsonl"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The store's file, beside the relay.
    pub(crate) fn store(&self) -> rusqlite::Connection {
        let data = if self.sandbox { "fal-relay-sandbox" } else { "fal-relay-data" };
        rusqlite::Connection::open(self.folder.path().join(data).join("relay.db")).unwrap()
    }

    /// All that the relay has written since its start.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The log lines of calls.
    pub(crate) fn calls(&self) -> Vec<serde_json::Value> {
        let lines = self.output();
        let parsed = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        parsed.filter(|line| line["message"] == "call").collect()
    }

    /// Its resident memory.
    pub(crate) fn resident_kib(&self) -> i64 {
        self.status_kib("VmRSS:")
    }

    /// The most that it ever was.
    pub(crate) fn most_resident_kib(&self) -> i64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, name: &str) -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, and for all that it has written.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }

    /// Another process on the same folder.
    pub(crate) fn beside(&self) -> Self {
        Self::start(self.folder.clone(), self.settings.clone(), self.sandbox)
    }

    /// Ends it at once and starts it again on the same folder.
    pub(crate) fn restart(mut self) -> Self {
        self.signal("-KILL");
        self.child.wait().unwrap();
        let (key, token) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        let mut again = Self::start(self.folder.clone(), self.settings.clone(), self.sandbox);
        (again.key, again.token) = (key, token);
        again
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        if std::thread::panicking() {
            eprintln!("--- the relay's output\n{}---", self.output());
            return;
        }
        let output = self.output();
        assert!(!output.contains("panicked"), "the relay panicked:\n{output}");
        assert!(!output.contains(FAL_SECRET), "the relay wrote a fal key:\n{output}");
        assert!(!output.contains("fr_client_"), "the relay wrote a client token:\n{output}");
    }
}

fn collect(source: impl Read + Send + 'static, output: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap();
            output.push_str(&line);
            output.push('\n');
        }
    })
}

/// What a start prints, up to the lines to paste; all there is when the start fails.
fn banner(stdout: &mut impl BufRead) -> String {
    let mut banner = String::new();
    while !banner.contains("\ncurl:") && stdout.read_line(&mut banner).unwrap() > 0 {}
    banner
}

fn row(banner: &str, name: &str) -> Option<String> {
    let line = banner.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")))?;
    line.trim_start().strip_prefix(name)?.split_whitespace().next().map(str::to_owned)
}

fn https(banner: &str) -> Option<SocketAddr> {
    let url = banner.lines().find_map(|line| line.trim().strip_prefix("https://localhost:"))?;
    format!("127.0.0.1:{}", url.split_whitespace().next()?).parse().ok()
}

fn authority(url: &str) -> &str {
    url.split("://").nth(1).unwrap_or(url)
}
