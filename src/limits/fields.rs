//! The fields in which limits are told to clients: `RateLimit-Policy` and `RateLimit` as in
//! draft-ietf-httpapi-ratelimit-headers-10, and `Retry-After`.
//!
//! Both fields are lists of strings with parameters (RFC 9651). The policy says the quota `q` and its window `w` in
//! seconds, or for jobs the unit `qu`; the other says what remains, `r`, and after how many seconds there will be more, `t`.

use std::fmt::Write;
use std::time::Duration;

use http::HeaderName;

use super::records::{Bound, Standing, What};

/// `RateLimit-Policy`: see [`ratelimit_policy`].
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit`: see [`ratelimit`].
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

const WINDOW_SECONDS: u32 = 60;

/// The value of `RateLimit-Policy`; `None` without bounds, since the list must not be empty.
pub fn ratelimit_policy(bounds: impl IntoIterator<Item = Bound>) -> Option<String> {
    list(bounds, |field, bound| {
        write!(field, "{};q={}", Name(bound), bound.limit)?;
        match bound.what {
            What::Requests | What::Submits | What::Uploads => write!(field, ";w={WINDOW_SECONDS}"),
            What::Jobs => field.write_str(";qu=\"concurrent-requests\""),
        }
    })
}

/// The value of `RateLimit`; `None` without standings.
pub fn ratelimit(standings: impl IntoIterator<Item = Standing>) -> Option<String> {
    list(standings, |field, standing| {
        write!(field, "{};r={}", Name(standing.bound), standing.remaining)?;
        match standing.reset {
            Some(reset) => write!(field, ";t={}", whole_seconds(reset)),
            None => Ok(()),
        }
    })
}

/// The value of `Retry-After`: whole seconds, rounded up, since an earlier ask would be refused again.
pub fn retry_after_seconds(wait: Duration) -> u64 {
    whole_seconds(wait).max(1)
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut String, T) -> std::fmt::Result,
) -> Option<String> {
    let mut field = String::new();
    for value in items {
        let separator = if field.is_empty() { "" } else { ", " };
        field.push_str(separator);
        // Writing to a string does not fail.
        item(&mut field, value).ok()?;
    }
    (!field.is_empty()).then_some(field)
}

/// The name of a policy, such as `"tenant-requests"`.
struct Name(Bound);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}-{}\"", self.0.owner.kind(), self.0.what.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::ids::{KeyId, TenantId};
    use crate::limits::Owner;

    fn bound(owner: Owner, what: What, limit: u32) -> Bound {
        Bound { owner, what, limit: NonZeroU32::new(limit).unwrap() }
    }

    #[test]
    fn fields_have_the_form_of_the_draft() {
        let requests = bound(Owner::Key(KeyId(7)), What::Requests, 60);
        let jobs = bound(Owner::Tenant(TenantId(1)), What::Jobs, 5);
        assert_eq!(
            ratelimit_policy([requests, jobs]).unwrap(),
            r#""key-requests";q=60;w=60, "tenant-jobs";q=5;qu="concurrent-requests""#
        );
        let reset = Some(Duration::from_millis(1_001));
        let standings = [
            Standing { bound: requests, remaining: 12, reset },
            Standing { bound: jobs, remaining: 0, reset: None },
        ];
        assert_eq!(ratelimit(standings).unwrap(), r#""key-requests";r=12;t=2, "tenant-jobs";r=0"#);
        assert_eq!((ratelimit_policy([]), ratelimit([])), (None, None));
    }

    #[test]
    fn waits_are_whole_seconds_rounded_up() {
        let seconds = |nanos| retry_after_seconds(Duration::from_nanos(nanos));
        assert_eq!([1, 999_999_999, 1_000_000_000, 1_000_000_001].map(seconds), [1, 1, 1, 2]);
        assert_eq!(retry_after_seconds(Duration::ZERO), 1);
        assert_eq!(retry_after_seconds(Duration::MAX), u64::MAX);
    }
}
