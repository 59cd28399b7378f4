//! Addresses that tenants may name: the books of tricks, and names that change their mind.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fal_relay::outside::{Client, Found, Guard, Pace, Refused, Settings, refusal};

use crate::support::Step;
use crate::support::{Fal, Seen, json, reply};

const CORPUS: &str = include_str!("corpus/outside.txt");

const PACE: Pace = Pace {
    connect_timeout: Duration::from_secs(5),
    answer_timeout: Duration::from_secs(5),
    idle_max: 0,
    idle_timeout: Duration::from_secs(1),
};

fn open() -> Settings {
    Settings { allow_http: true, ..Settings::default() }
}

/// Names that stand for the next of these, time after time.
fn names(found: &'static [&'static str], asked: &Arc<AtomicUsize>) -> Guard {
    let asked = asked.clone();
    let look_up = move |_| -> Found {
        let nth = asked.fetch_add(1, Ordering::SeqCst).min(found.len() - 1);
        let address = SocketAddr::new(found[nth].parse::<IpAddr>().unwrap(), 0);
        Box::pin(async move { Ok(vec![address]) })
    };
    let allow = Settings { allow_targets: vec!["127.0.0.1/32".parse().unwrap()], ..open() };
    Guard::with_names(allow, Arc::new(look_up))
}

#[test]
fn invariant_10_the_books_of_tricks_lead_to_no_private_address() {
    let guard = Guard::new(open());
    let (mut judged, mut wrong) = (0, Vec::new());
    for line in CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (wanted, address) = line.split_once(' ').unwrap_or((line, ""));
        let address = address.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0");
        let said = guard.judge(&address);
        let word = match said {
            Ok(_) => "fine",
            Err(Refused::Form | Refused::Long { .. } | Refused::Unknown) => "form",
            Err(Refused::Scheme) => "scheme",
            Err(Refused::UserInfo) => "user",
            Err(Refused::Port(_)) => "port",
            Err(Refused::Network(_) | Refused::Elsewhere) => "network",
        };
        judged += 1;
        if word != wanted.replace("name", "fine") {
            wrong.push(format!("{address:?}: {said:?}, and not {wanted}"));
        }
    }
    assert!(wrong.is_empty() && judged > 150, "{judged} judged\n{}", wrong.join("\n"));
}

async fn send(guard: &Guard, client: &Client, url: &str) -> Result<u16, reqwest::Error> {
    let answer = client.post(&guard.judge(url).unwrap()).body("{}").send().await?;
    Ok(answer.status().as_u16())
}

/// The second look-up of a rebinding name leads inside: it is judged again, and what was judged the first time was dialled.
#[tokio::test]
async fn invariant_10_a_name_that_changes_its_mind_is_judged_each_time_and_dialled_as_judged() {
    let receiver = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let url = format!("http://rebinding.example:{}/hook", receiver.address.port());
    let asked = Arc::new(AtomicUsize::new(0));
    let guard = names(&["127.0.0.1", "127.0.0.2", "169.254.169.254"], &asked);
    let client = guard.client(PACE).unwrap();
    assert_eq!(send(&guard, &client, &url).await.unwrap(), 200);
    for what in ["the relay's own machine", "a link-local network"] {
        let error = send(&guard, &client, &url).await.unwrap_err();
        assert_eq!(refusal(&error), Some(Refused::Network(what)));
    }
    assert_eq!((asked.load(Ordering::SeqCst), receiver.seen().len()), (3, 1), "one look-up for each call");
    assert_eq!(receiver.seen()[0].header("host"), Some(url.split('/').nth(2).unwrap()));
}

#[tokio::test]
async fn invariant_10_a_redirect_inside_is_an_answer_and_not_a_way() {
    let inside = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let location = format!("{}/stolen", inside.base());
    let receiver = Fal::start(move |_: &Seen| {
        Step::Reply(reply("307 Temporary Redirect", &[("location", &location)], b""))
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let guard = names(&["127.0.0.1"], &asked);
    let url = format!("http://public.example:{}/hook", receiver.address.port());
    assert_eq!(send(&guard, &guard.client(PACE).unwrap(), &url).await.unwrap(), 307);
    assert_eq!((receiver.seen().len(), inside.seen().len()), (1, 0));
}
