//! The pages of `docs/clients`: what they tell a user to paste works as it stands, once the relay's address and a key are put
//! into it. A block is run by the program that its language names: `sh`, `js`, `python`. What is written for a program that
//! cannot be had here is in another language.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Relay;

const ADDRESS: &str = "https://relay.example.com";
const HOST: &str = "relay.example.com";
const KEY: &str = "<relay key>";

/// Its lines are doctor's, which has tests of its own.
const OF_DOCTOR: &str = "fal-relay doctor";

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(String, String)> {
    let fenced = page.split("```").skip(1).step_by(2);
    let block = |text: &str| text.split_once('\n').map(|(name, code)| (name.to_owned(), code.to_owned()));
    fenced.filter_map(block).filter(|(_, code)| !code.contains(OF_DOCTOR)).collect()
}

/// Runs the blocks of a page that are in one of our languages, with `before` put before each that is Python, and returns what
/// they printed.
fn run(name: &str, before: &str) -> Vec<String> {
    let relay = Relay::sandbox(&[]);
    let https = format!("localhost:{}", relay.https.unwrap().port());
    let said =
        |code: &str| code.replace(ADDRESS, &relay.base()).replace(HOST, &https).replace(KEY, &relay.key);
    let mut printed = Vec::new();
    for (language, code) in blocks(&page(name)) {
        let mut command = match language.as_str() {
            "sh" => Command::new("bash"),
            "js" => Command::new("node"),
            "python" => Command::new(clients().join(".venv/bin/python")),
            _ => continue,
        };
        match language.as_str() {
            "sh" => command.args(["-euo", "pipefail", "-c", &said(&code)]),
            "js" => command.args(["--input-type=module", "--eval", &said(&code)]),
            _ => command.args(["-c", &said(&format!("{before}\n{code}"))]),
        };
        let path = format!("{}:{}", clients().join(".venv/bin").display(), std::env::var("PATH").unwrap());
        let ca = relay.folder.path().join("fal-relay-sandbox/ca.pem");
        command
            .current_dir(clients())
            .env_clear()
            .env("PATH", path)
            .env("NO_PROXY", "*")
            .env("SSL_CERT_FILE", ca);
        command.env("HOME", relay.folder.path());
        let output =
            command.output().unwrap_or_else(|error| panic!("{error}; `tests/run` installs the clients"));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !out.trim().is_empty(), "{name}:\n{code}\n{out}\n{err}");
        printed.push(out.into_owned());
    }
    assert!(!printed.is_empty(), "{name} has nothing to run");
    assert!(!relay.ledger().is_empty(), "{name}: nothing came through the relay");
    printed
}

fn holds(printed: &[String], each: &[&str]) {
    assert_eq!(printed.len(), each.len(), "{printed:?}");
    for (said, wanted) in printed.iter().zip(each) {
        assert!(said.contains(wanted), "{said:?} does not hold {wanted:?}");
    }
}

/// One at a time: each starts a program of some weight.
mod clients {
    use super::*;

    #[test]
    fn python() {
        // What the first block exports for the second, which is a program of its own here.
        let before = r#"import os; os.environ["FAL_KEY"] = "<relay key>""#;
        holds(&run("python.md", before), &["images", "files/"]);
    }

    #[test]
    fn javascript() {
        holds(&run("javascript.md", ""), &["images", "images"]);
    }

    #[test]
    fn browsers() {
        holds(&run("browsers.md", ""), &["/api/fal/proxy/fr_client_", "IN_QUEUE"]);
    }

    #[test]
    fn ai_sdk() {
        holds(&run("ai-sdk.md", ""), &["image/", "video/mp4", "image/"]);
    }

    /// The Hub, which says which endpoint stands for a model, cannot be asked here.
    #[test]
    fn hugging_face() {
        let hub = r#"
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import _common
for model, endpoint, task in [
    ("Wan-AI/Wan2.2-T2V-A14B", "fal-ai/wan/v2.2-a14b/text-to-video", "text-to-video"),
    ("hexgrad/Kokoro-82M", "fal-ai/kokoro-audio", "text-to-speech"),
]:
    known = InferenceProviderMapping(hf_model_id=model, providerId=endpoint, provider="fal-ai", status="live", task=task)
    _common.HARDCODED_MODEL_INFERENCE_MAPPING["fal-ai"][model] = known
"#;
        run("huggingface.md", hub);
    }

    #[test]
    fn curl() {
        holds(&run("curl.md", ""), &["IN_QUEUE"]);
    }

    #[test]
    fn others() {
        holds(&run("others.md", ""), &["images"]);
    }
}

#[test]
fn every_page_says_what_the_placeholders_are_and_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients");
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.filter(|name| name != "README.md").collect();
    let list = page("README.md");
    for name in names {
        assert!(list.contains(&format!("]({name})")), "docs/clients/README.md does not lead to {name}");
        assert!(
            page(&name).contains("`<relay key>` is a key of the relay"),
            "{name} does not say what `<relay key>` is"
        );
    }
}
