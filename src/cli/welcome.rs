//! What a start prints: where things are, the first key, and lines to paste.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::doctor::lines::{self, KEY_PLACEHOLDER, Site};
use super::health::reachable;
use crate::serve::Welcome;
use crate::upstream::ConnectionCounts;

/// Tells a newcomer everything that the next command needs.
pub(super) fn print(welcome: &Welcome, sandbox: bool, out: &mut impl Write) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match sandbox {
        true => writeln!(
            out,
            "fal-relay {version} in sandbox mode: nothing leaves this machine, nothing is charged."
        )?,
        false => writeln!(out, "fal-relay {version}")?,
    }
    writeln!(out)?;
    row(out, "relay", &format!("http://{}", welcome.http))?;
    if let Some(https) = welcome.https {
        row(out, "", &format!("https://localhost:{}", https.port()))?;
    }
    row(out, "operators", &format!("http://{}", welcome.admin))?;
    if let Some(sandbox) = welcome.sandbox {
        row(out, "simulated fal", &format!("http://{sandbox}"))?;
    }
    if let Some(ca_file) = &welcome.ca_file {
        row(
            out,
            "certificate",
            &format!("{} (clients of the https address must trust it)", absolute(ca_file).display()),
        )?;
    }
    if let Some(token) = &welcome.first_token {
        row(out, "admin key", &format!("{}   (shown once)", token.expose()))?;
    }
    let flag = if sandbox { " --sandbox" } else { "" };
    let key = match &welcome.first_key {
        Some(key) => {
            row(out, "your key", &format!("{}   (shown once)", key.expose()))?;
            key.expose()
        }
        None => KEY_PLACEHOLDER,
    };
    writeln!(out, "\nMore keys: {} key create{flag} --tenant NAME\n", program())?;
    lines(welcome, key, out)?;
    out.flush()
}

/// How this program was called, so that the next command can be pasted: right after a build it is not on the path.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_else(|| "fal-relay".into());
    called.to_string_lossy().into_owned()
}

/// Tells at the end of `serve --sandbox` that it kept its word.
pub(super) fn print_farewell(connections: ConnectionCounts, out: &mut impl Write) -> io::Result<()> {
    let ConnectionCounts { here, beyond, refused } = connections;
    writeln!(
        out,
        "\nCalls beyond this machine: {beyond}. Connections to the simulated fal: {here}; refused to other machines: {refused}."
    )?;
    out.flush()
}

/// What `fal-relay sandbox` prints.
pub(super) fn print_sandbox(base_url: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "The simulated fal listens at {base_url}; any `Authorization: Key id:secret` opens it.\n")?;
    for (name, path) in
        [("queue.fal.run", "queue"), ("fal.run", "run"), ("rest.fal.ai", "rest"), ("api.fal.ai", "api")]
    {
        row(out, name, &format!("{base_url}/{path}"))?;
    }
    out.flush()
}

fn row(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {name:<14} {value}")
}

/// Lines to paste, each of which works as it stands.
fn lines(welcome: &Welcome, key: &str, out: &mut impl Write) -> io::Result<()> {
    let site = site(welcome);
    let parts = [
        ("curl", lines::curl(&site, key)),
        ("Python, with fal-client as it is", lines::python(&site, key)),
        ("JavaScript, with @fal-ai/client as it is", lines::javascript(&site, key)),
    ];
    for (name, lines) in parts.into_iter().filter_map(|(name, lines)| Some((name, lines?))) {
        writeln!(out, "{name}:")?;
        lines.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        writeln!(out)?;
    }
    Ok(())
}

/// Where programs on this machine reach the relay.
fn site(welcome: &Welcome) -> Site {
    Site {
        http: Some(format!("http://{}", reachable(welcome.http))),
        https: welcome.https.map(|https| format!("https://localhost:{}", https.port())),
        ca_file: welcome.ca_file.as_deref().map(absolute),
    }
}

/// A path that works from any folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
