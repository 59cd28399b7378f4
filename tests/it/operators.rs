//! What operators do, by the commands of `docs/operators.md`, on a running relay.

use std::fs;
use std::path::Path;

use fal_relay::admin::CallView;

use crate::support::{Relay, get, post};

const PAGE: &str = include_str!("../../docs/operators.md");

/// Commands that ask fal; `bills_journey` tells of them.
const ASK_FAL: [&str; 3] = ["fal-relay prices sync", "fal-relay prices diff", "fal-relay reconcile"];

/// The page's blocks: what stands behind the fence, and the lines.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

fn commands() -> Vec<&'static str> {
    let shell = blocks().into_iter().filter(|(kind, _)| *kind == "sh");
    shell.flat_map(|(_, lines)| lines.lines()).collect()
}

/// The words of a line; quotes keep what is in them together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(nth, part)| match nth % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

fn run(relay: &Relay, line: &str) -> String {
    let words = words(line);
    assert_eq!(words[0], "fal-relay", "{line}");
    relay.cli(&words[1..].iter().map(String::as_str).collect::<Vec<_>>())
}

fn write_files(folder: &Path) {
    for (kind, text) in blocks() {
        if let Some(name) = kind.strip_prefix("json ") {
            fs::write(folder.join(name), text).unwrap();
        }
    }
}

#[tokio::test]
async fn every_command_of_the_page_works_in_its_order() {
    let relay = Relay::sandbox(&[]);
    write_files(relay.folder.path());
    for _ in 0..2 {
        let run = post("/run/fal-ai/flux-1/schnell", &relay.key, r#"{"prompt":"a cat"}"#);
        assert_eq!(relay.client().send(run).await.status, 200);
    }
    let mut done = 0;
    for line in commands().into_iter().filter(|line| !ASK_FAL.contains(line)) {
        let printed = run(&relay, line);
        assert!(line.contains("export") || !printed.is_empty(), "{line}");
        done += 1;
    }
    assert!(done > 35, "{done} commands");

    // What they did is in force.
    let said = relay.cli(&["ledger", "show", "1"]);
    assert!(said.contains("cost_usd         0.0375\n"), "{said}");
    let shop = "sk-Tq3ZLuYk0mPz5xWcR8vNdB1sJ6hGf2eAo9iUQyXwVtKbCrMl";
    for presented in [shop, &shop[3..]] {
        let account = relay.client().send(get("/v1/account", presented)).await;
        assert_eq!(account.status, 200, "{}", account.text());
        assert_eq!(account.json()["tenant"]["name"], "user-7");
        assert_eq!(account.json()["budgets"][0]["limit_usd"], "5.00");
    }
    let denied = relay.client().send(post("/fal-ai/veo3", shop, "{}")).await;
    assert_eq!(denied.status, 403, "{}", denied.text());
    let run = post("/run/fal-ai/flux-1/schnell", shop, r#"{"prompt":"a cat"}"#);
    assert_eq!(relay.client().send(run).await.status, 200);
    let stranger = "sk-Tq3ZLuYk0mPz5xWcR8vNdB1sJ6hGf2eAo9iUQyXwVtKbCrMM";
    assert_eq!(relay.client().send(get("/v1/account", stranger)).await.status, 401);
    assert_eq!(relay.client().send(get("/v1/account", &format!("sk-{}", relay.key))).await.status, 401);
}

#[test]
fn the_page_lists_every_column_of_an_export() {
    let listed = PAGE.split("<!-- columns -->\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed: Vec<_> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, CallView::COLUMNS);
}

#[tokio::test]
async fn a_first_start_makes_an_owner_and_a_second_does_not() {
    let relay = Relay::sandbox(&[]);
    let owners = |relay: &Relay| {
        let list: serde_json::Value =
            serde_json::from_str(&relay.cli(&["operator", "list", "--json"])).unwrap();
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| (one["name"].clone(), one["role"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(owners(&relay), [("owner".into(), "owner".into())]);
    let again = relay.restart();
    assert_eq!(owners(&again).len(), 1);
    assert!(!again.output().contains("fr_"), "and tells no key again");
}
