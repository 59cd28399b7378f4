//! What a tenant's developers hear of its webhooks while they write their receivers: each as a server-sent event that holds
//! the very request that a receiver gets, signed as it leaves. Events are read from the store, so that it does not matter
//! which process has ended a job, and whoever comes back with the number of the last one misses none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::ids::{DeliveryId, KeyId};
use crate::relay::Relay;
use crate::relay::caller::Caller;
use crate::relay::holder::query::{Query, wrong};
use crate::relay::identity::Credentials;
use crate::relay::refusal::Refusal;
use crate::relay::reply::{Reply, ReplyBody};
use crate::store::Message;

/// Listeners of one key, and of a process. Each has one event in memory, as long as the longest payload and a third.
const LISTENERS_PER_KEY: usize = 4;
const LISTENERS_MAX: usize = 64;
/// How often the store is asked. Not at each webhook of this process: it would be asked for every listener then, whosever
/// webhook it is, and another process may have ended a job, or the key, anyway.
const LISTEN_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is said to a listener: proxies close what is silent, and he should notice when we are gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A line that says nothing.
const SILENCE: Bytes = Bytes::from_static(b":\n\n");
/// The number of the last event that a listener has.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps nginx from gathering events.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How somebody asks to listen.
#[derive(Debug)]
pub struct Listen {
    /// The headers of his request.
    pub headers: HeaderMap,
    /// Its query.
    pub query: Option<String>,
    /// Where it comes from.
    pub address: IpAddr,
    /// The end of all listening.
    pub stop: CancellationToken,
}

/// Those who listen, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<KeyId, usize>>);

/// A listener's place, which is free again when it is dropped.
#[derive(Debug)]
struct Seat {
    listeners: Arc<Listeners>,
    key: KeyId,
}

impl Listeners {
    fn seats(&self) -> MutexGuard<'_, HashMap<KeyId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, key: KeyId) -> Result<Seat, Refusal> {
        let mut seats = self.seats();
        if seats.values().sum::<usize>() >= LISTENERS_MAX {
            return Err(Refusal::TooManyListeners { max: LISTENERS_MAX });
        }
        let taken = seats.entry(key).or_default();
        if *taken >= LISTENERS_PER_KEY {
            return Err(Refusal::TooManyListeners { max: LISTENERS_PER_KEY });
        }
        *taken += 1;
        Ok(Seat { listeners: self.clone(), key })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.listeners.seats();
        if let Some(taken) = seats.get_mut(&self.key) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.key);
            }
        }
    }
}

/// A listener.
struct Listening {
    relay: Relay,
    caller: Caller,
    /// What his rules are held against again and again.
    page: HeaderMap,
    address: IpAddr,
    after: DeliveryId,
    stop: CancellationToken,
    _seat: Seat,
}

impl Relay {
    /// Tells the holder of a key of his tenant's webhooks until he leaves, his key ends, or the process does.
    pub async fn listen(&self, caller: &Caller, wish: Listen) -> Result<Reply, Refusal> {
        Query::read(wish.query.as_deref().unwrap_or_default()).only(&[])?;
        let seat = self.shared.listeners.enter(caller.key_id())?;
        let last = self.shared.store.last_delivery().await?;
        let after = last_event(&wish.headers)?.map_or(last, |after| after.min(last));
        let listening = Listening {
            relay: self.clone(),
            caller: caller.clone(),
            page: origin_of(&wish.headers),
            address: wish.address,
            after,
            stop: wish.stop,
            _seat: seat,
        };
        Ok(listening.reply())
    }
}

/// The event after which a listener goes on.
fn last_event(headers: &HeaderMap) -> Result<Option<DeliveryId>, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.and_then(|text| text.parse().ok());
    number.map(DeliveryId).map(Some).ok_or_else(|| wrong("last-event-id", "is the id of an event from here"))
}

fn origin_of(headers: &HeaderMap) -> HeaderMap {
    let origin = headers.get_all(header::ORIGIN).iter().map(|origin| (header::ORIGIN, origin.clone()));
    origin.collect()
}

impl Listening {
    fn reply(self) -> Reply {
        let begin = Bytes::from(format!("retry: {}\nid: {}\n\n", LISTEN_EVERY.as_millis(), self.after));
        let events = stream::unfold((Some(begin), self), |(begin, mut listening)| async move {
            let event = match begin {
                Some(begin) => begin,
                None => listening.next().await?,
            };
            Some((event, (None, listening)))
        });
        let mut response = Response::new(ReplyBody::Events(Box::pin(events)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        response
    }

    /// What is said next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let clock = self.relay.shared.clock.clone();
        let heartbeat = clock.elapsed() + HEARTBEAT;
        while !self.stop.is_cancelled() && self.may_listen().await {
            if let Some(event) = self.event().await? {
                return Some(event);
            }
            if clock.elapsed() >= heartbeat {
                return Some(SILENCE);
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = clock.sleep(LISTEN_EVERY) => {}
            }
        }
        None
    }

    /// Whether the key still opens anything here. Who may not know for a moment comes again.
    async fn may_listen(&self) -> bool {
        let credentials = Credentials { headers: &self.page, token: None, address: self.address };
        let identities = &self.relay.shared.identities;
        identities.again(self.caller.shown(), credentials, self.relay.counts()).await.is_ok()
    }

    /// The next webhook, if there is one; `None` when it cannot be told.
    async fn event(&mut self) -> Option<Option<Bytes>> {
        let store = &self.relay.shared.store;
        match store.message_after(self.caller.tenant_id(), self.after).await {
            Ok(Some(message)) => {
                self.after = message.id;
                self.tell(&message).map(Some)
            }
            Ok(None) => Some(None),
            Err(error) => {
                tracing::warn!(%error, "a listener cannot be told of webhooks");
                None
            }
        }
    }

    fn tell(&self, message: &Message) -> Option<Bytes> {
        let now = self.relay.shared.clock.now();
        let headers = message.headers(&*self.relay.shared.signing_key(now)?, now)?;
        let told = Told {
            delivery_id: &message.name,
            request_id: message.request_id.as_str(),
            url: &message.target,
            headers: headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect(),
            body_base64: STANDARD.encode(&message.body),
        };
        let mut event = format!("id: {}\nevent: webhook\ndata: ", message.id).into_bytes();
        serde_json::to_writer(&mut event, &told).ok()?;
        event.extend_from_slice(b"\n\n");
        Some(event.into())
    }
}

/// A webhook as a listener hears it.
#[derive(Serialize)]
struct Told<'a> {
    delivery_id: &'a str,
    request_id: &'a str,
    url: &'a str,
    headers: HashMap<&'a str, &'a str>,
    body_base64: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_a_key_and_a_process_have_a_few_listeners() {
        let listeners = Arc::<Listeners>::default();
        let of = |key| listeners.enter(KeyId(key));
        let first: Vec<_> = (0..LISTENERS_PER_KEY).map(|_| of(1).unwrap()).collect();
        assert!(of(1).is_err(), "a key has its share");
        let mut others: Vec<_> =
            (LISTENERS_PER_KEY..LISTENERS_MAX).map(|key| of(100 + key as i64).unwrap()).collect();
        assert!(of(2).is_err(), "and so has the process");
        others.pop();
        others.push(of(2).unwrap());
        drop((first, others));
        assert!(listeners.seats().is_empty(), "nothing is left of those who left");
    }

    #[test]
    fn a_listener_goes_on_after_a_number_and_nothing_else() {
        let read = |text: &'static str| {
            last_event(&HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(text))]))
                .ok()
                .flatten()
        };
        assert_eq!(read("12"), Some(DeliveryId(12)));
        for text in ["-1", "+1", "", "1 ", "x", "99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(last_event(&HeaderMap::new()).ok(), Some(None));
    }
}
