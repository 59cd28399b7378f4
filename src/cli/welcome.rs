//! What a start prints: where things are, the first key, and lines to paste.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

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
            &format!("{} (clients of the https address must trust it)", absolute(ca_file)),
        )?;
    }
    let flag = if sandbox { " --sandbox" } else { "" };
    let key = match &welcome.first_key {
        Some(key) => {
            row(out, "your key", &format!("{}   (shown once)", key.expose()))?;
            key.expose()
        }
        None => "<key>",
    };
    writeln!(out, "\nMore keys: fal-relay key create{flag} --tenant NAME\n")?;
    lines(welcome, key, out)?;
    out.flush()
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
    writeln!(out, "curl:\n{}\n", curl(welcome.http, key))?;
    if let Some(https) = welcome.https {
        writeln!(
            out,
            "Python, with fal-client as it is:\n{}\n",
            python(https, welcome.ca_file.as_deref(), key)
        )?;
    }
    writeln!(out, "JavaScript, with @fal-ai/client as it is:\n{}\n", javascript(welcome.http, key))
}

fn curl(http: SocketAddr, key: &str) -> String {
    format!(
        "  curl http://{http}/fal-ai/flux-1/dev -H 'Authorization: Bearer {key}' \\\n       \
         -H 'Content-Type: application/json' -d '{{\"prompt\":\"a cat\"}}'"
    )
}

fn python(https: SocketAddr, ca_file: Option<&Path>, key: &str) -> String {
    let host = format!("localhost:{}", https.port());
    let trust = ca_file.map(|file| format!(" SSL_CERT_FILE={}", absolute(file))).unwrap_or_default();
    format!(
        "  export FAL_KEY={key} FAL_QUEUE_RUN_HOST={host} FAL_RUN_HOST={host}/run{trust}\n  \
         python3 -c 'import fal_client; print(fal_client.subscribe(\"fal-ai/flux-1/dev\", {{\"prompt\": \"a cat\"}}))'"
    )
}

fn javascript(http: SocketAddr, key: &str) -> String {
    format!(
        "  import {{ fal }} from \"@fal-ai/client\";\n  \
         const hosts = {{ \"https://queue.fal.run\": \"\", \"https://fal.run\": \"/run\", \"https://rest.fal.ai\": \"\" }};\n  \
         fal.config({{ credentials: \"{key}\", requestMiddleware: async (r) => {{\n    \
         const {{ origin }} = new URL(r.url);\n    \
         return origin in hosts ? {{ ...r, url: \"http://{http}\" + hosts[origin] + r.url.slice(origin.length) }} : r;\n  }} }});\n  \
         console.log(await fal.subscribe(\"fal-ai/flux-1/dev\", {{ input: {{ prompt: \"a cat\" }} }}));"
    )
}

/// A path that works from any folder.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
