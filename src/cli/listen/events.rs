//! The events of the relay's stream: their form as server-sent events, and the webhook that each holds.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::fal::webhook::REQUEST_ID;

/// The longest line. A payload of a few megabytes is one.
const LINE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// An event, or something that only has a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Event {
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) data: Option<String>,
}

/// Reads events from pieces that are cut anywhere.
#[derive(Debug, Default)]
pub(in crate::cli) struct Reader {
    bytes: Vec<u8>,
    /// So many of them are known to end no line.
    scanned: usize,
    event: Event,
}

impl Reader {
    pub(in crate::cli) fn push(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.bytes.extend_from_slice(piece);
        ensure!(self.bytes.len() <= LINE_MAX_BYTES + piece.len(), "an event is too long");
        Ok(())
    }

    /// The next whole event that has come.
    pub(in crate::cli) fn next(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() && self.event != Event::default() {
                return Some(std::mem::take(&mut self.event));
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => self.event.id = Some(value.to_owned()),
                "data" => self.add(value),
                _ => {}
            }
        }
        None
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) => {
                let rest = self.bytes.split_off(self.scanned + end + 1);
                self.scanned = 0;
                Some(std::mem::replace(&mut self.bytes, rest))
            }
            None => {
                self.scanned = self.bytes.len();
                None
            }
        }
    }

    fn add(&mut self, value: &str) {
        match &mut self.event.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.event.data = Some(value.to_owned()),
        }
    }
}

/// The request that a receiver gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Webhook {
    pub(in crate::cli) headers: HeaderMap,
    pub(in crate::cli) body: Vec<u8>,
}

#[derive(Deserialize)]
struct Told {
    headers: BTreeMap<String, String>,
    body_base64: String,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
}

impl Webhook {
    pub(in crate::cli) fn read(data: &str) -> anyhow::Result<Self> {
        let told: Told = serde_json::from_str(data).context("it has another form")?;
        let header = |(name, value): (&String, &String)| {
            anyhow::Ok((HeaderName::try_from(name.as_str())?, HeaderValue::try_from(value.as_str())?))
        };
        let headers = told.headers.iter().map(header).collect::<anyhow::Result<_>>();
        let body = STANDARD.decode(&told.body_base64).context("its body cannot be read")?;
        Ok(Self { headers: headers.context("its headers cannot be read")?, body })
    }

    /// Whether it says that it is about this request.
    pub(in crate::cli) fn is_about(&self, id: &str) -> bool {
        self.headers.get(REQUEST_ID).is_some_and(|said| said == id)
    }

    /// How the job went, in fal's word.
    pub(in crate::cli) fn status(&self) -> &'static str {
        match serde_json::from_slice::<Envelope>(&self.body) {
            Ok(envelope) if envelope.status == "OK" => "OK",
            _ => "ERROR",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str =
        "retry: 1\nid: 4\n\n:\n\nid: 5\nevent: webhook\ndata: {\"a\":1}\n\ndata: x\r\ndata:y\r\n\r\nid: 6\n";

    fn event(id: Option<&str>, data: Option<&str>) -> Event {
        Event { id: id.map(str::to_owned), data: data.map(str::to_owned) }
    }

    proptest! {
        #[test]
        fn events_are_the_same_wherever_they_are_cut(cuts in prop::collection::vec(0..TEXT.len(), 0..6)) {
            let (mut cuts, mut reader, mut events) = (cuts, Reader::default(), Vec::new());
            cuts.sort_unstable();
            cuts.push(TEXT.len());
            let mut begin = 0;
            for end in cuts {
                reader.push(&TEXT.as_bytes()[begin..end]).unwrap();
                events.extend(std::iter::from_fn(|| reader.next()));
                begin = end;
            }
            prop_assert_eq!(events, [event(Some("4"), None), event(Some("5"), Some("{\"a\":1}")), event(None, Some("x\ny"))]);
        }

        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::default();
            reader.push(&bytes).unwrap();
            while let Some(event) = reader.next() {
                let _ = event.data.map(|data| Webhook::read(&data));
            }
        }
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; LINE_MAX_BYTES];
        reader.push(&piece).unwrap();
        assert!(reader.push(b"x").is_ok());
        assert!(reader.push(b"x").is_err());
    }

    #[test]
    fn a_webhook_has_its_headers_and_bytes() {
        let webhook =
            Webhook::read(r#"{"headers":{"webhook-id":"w"},"body_base64":"eyJzdGF0dXMiOiJPSyJ9","more":1}"#)
                .unwrap();
        assert_eq!((webhook.body.as_slice(), webhook.status()), (&br#"{"status":"OK"}"#[..], "OK"));
        assert_eq!(webhook.headers["webhook-id"], "w");
        for odd in
            ["", "{}", r#"{"headers":{"a b":"w"},"body_base64":""}"#, r#"{"headers":{},"body_base64":"_"}"#]
        {
            assert!(Webhook::read(odd).is_err(), "{odd}");
        }
    }
}
