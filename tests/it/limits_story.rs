//! One life of rates and jobs in flight, on every backend. A bug found in one backend becomes a line of this story.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fal_relay::ids::{GroupId, KeyId, LeaseId, TenantId};
use fal_relay::limits::{
    Admission, Ask, Bound, Lease, Limited, Limits, Owner, Owners, Settings, Standing, What,
};

use crate::limits_memory::Memory;

/// A backend that the story can run on: empty when it is opened, and on a clock that the story winds.
pub(crate) trait Backend {
    fn open(&self, settings: Settings) -> Arc<dyn Limits>;
    fn advance(&self, by: Duration);
}

const TERM: Duration = Duration::from_secs(600);
/// Longer than any rate or key is remembered.
const REST: Duration = Duration::from_secs(200);

#[tokio::test]
async fn the_story_in_memory() {
    story(&Memory::new()).await;
}

/// A bench: the backend, its limits, and what the chapters ask of them.
struct Bench<'a> {
    backend: &'a dyn Backend,
    limits: Arc<dyn Limits>,
}

async fn story(backend: &dyn Backend) {
    let open = || backend.open(Settings { lease_term: TERM, ..Settings::default() });
    let bench = Bench { backend, limits: open() };
    a_rate_is_used_up_and_comes_back(&bench).await;
    bounds_let_in_together_or_not_at_all(&bench).await;
    a_changed_limit_holds_at_once(&bench).await;
    owners_are_counted_apart(&bench).await;
    jobs_are_counted_until_they_end(&bench).await;
    a_lost_job_ends_by_itself(&bench).await;
    one_key_cannot_use_up_a_rate_of_many(&bench).await;
    one_key_cannot_take_all_places(&bench).await;
    peeking_counts_nothing(&bench).await;
    invariant_9_rates_may_be_forgotten_and_jobs_are_restored(&bench, open()).await;
}

async fn a_rate_is_used_up_and_comes_back(bench: &Bench<'_>) {
    let me = owners(1, 1);
    let bound = of_key(me, What::Requests, 3);
    assert_eq!(bench.limits.admit(&[], ask(me)).await, Ok(Admission::Granted(None)));
    for remaining in [2, 1, 0] {
        let reset = Some(Duration::from_secs(20));
        let standing = Standing { bound, remaining, reset };
        assert_eq!(bench.admit(&[bound], me).await, Admission::Granted(Some(standing)));
    }
    let limited = bench.refused(&[bound], me).await;
    assert_eq!(limited.retry_after, Duration::from_secs(20));
    assert_eq!(limited.standing, Standing { bound, remaining: 0, reset: Some(Duration::from_secs(20)) });
    // The told wait is exact, and a refused ask does not lengthen it.
    bench.backend.advance(limited.retry_after - Duration::from_millis(1));
    assert_eq!(bench.refused(&[bound], me).await.retry_after, Duration::from_millis(1));
    bench.backend.advance(Duration::from_millis(1));
    bench.granted(&[bound], me).await;
    bench.refused(&[bound], me).await;
    // A rest gives back one burst and no more.
    bench.backend.advance(REST);
    assert_eq!(bench.granted_of(5, &[bound], me).await, 3);
}

async fn bounds_let_in_together_or_not_at_all(bench: &Bench<'_>) {
    let me = owners(2, 2);
    let (wide, narrow) = (of_key(me, What::Requests, 10), of_key(me, What::Submits, 1));
    bench.granted(&[wide, narrow], me).await;
    for _ in 0..5 {
        let limited = bench.refused(&[wide, narrow], me).await;
        assert_eq!(limited.standing.bound, narrow);
    }
    // The refused asks took nothing of the wide bound: nine are left.
    assert_eq!(bench.granted_of(20, &[wide], me).await, 9);
    // Of two that refuse, the longer wait is told: then both let in.
    let limited = bench.refused(&[wide, narrow], me).await;
    assert_eq!((limited.standing.bound, limited.retry_after), (narrow, Duration::from_secs(60)));
    bench.backend.advance(limited.retry_after);
    bench.granted(&[wide, narrow], me).await;
    // Nor does a refused job hold a place.
    let jobs = of_key(me, What::Jobs, 1);
    assert!(matches!(bench.begin(&[narrow, jobs], me, 20).await, Admission::Limited(_)));
    assert_eq!(bench.limits.release(LeaseId(20)).await, Ok(false));
}

async fn a_changed_limit_holds_at_once(bench: &Bench<'_>) {
    let me = owners(3, 3);
    let rate = |limit| [of_key(me, What::Requests, limit)];
    assert_eq!(bench.granted_of(9, &rate(4), me).await, 4);
    // Raised: the next call is one interval of the new limit away.
    assert_eq!(bench.refused(&rate(600), me).await.retry_after, Duration::from_millis(100));
    bench.backend.advance(Duration::from_millis(100));
    bench.granted(&rate(600), me).await;
    // Lowered: a burst of the new limit at most.
    bench.backend.advance(REST);
    bench.granted(&rate(600), me).await;
    assert!(bench.granted_of(9, &rate(2), me).await <= 2);
    // The same for places.
    let places = |limit| [of_key(me, What::Jobs, limit)];
    for (job, limit, granted) in [(30, 1, true), (31, 1, false), (31, 2, true), (32, 1, false)] {
        let admission = bench.begin(&places(limit), me, job).await;
        assert_eq!(matches!(admission, Admission::Granted(_)), granted, "job {job} with {limit}");
    }
    for job in [30, 31] {
        assert_eq!(bench.limits.release(LeaseId(job)).await, Ok(true));
    }
}

async fn owners_are_counted_apart(bench: &Bench<'_>) {
    // The same number as tenant, group and key, and the same limit on another thing, share nothing.
    let me = Owners { group: Some(GroupId(4)), ..owners(4, 4) };
    for owner in me.each() {
        for what in [What::Requests, What::Submits] {
            assert_eq!(bench.granted_of(3, &[bound(owner, what, 2)], me).await, 2, "{owner:?} {what:?}");
        }
    }
    let limited = bench.refused(&[bound(Owner::Group(GroupId(4)), What::Submits, 2)], me).await;
    assert_eq!(limited.standing.bound.owner, Owner::Group(GroupId(4)));
}

async fn jobs_are_counted_until_they_end(bench: &Bench<'_>) {
    let me = Owners { group: Some(GroupId(5)), ..owners(5, 5) };
    let bounds: Vec<_> = me.each().map(|owner| bound(owner, What::Jobs, 2)).collect();
    bench.begun(&bounds, me, 50).await;
    // The same lease again is the same job; a call that begins none is not held up by jobs.
    bench.begun(&bounds, me, 50).await;
    bench.begun(&bounds, me, 51).await;
    bench.granted(&bounds, me).await;
    let Admission::Limited(limited) = bench.begin(&bounds, me, 52).await else { panic!("a third job") };
    assert_eq!((limited.standing.remaining, limited.standing.reset), (0, None));
    assert!(!limited.retry_after.is_zero());
    // An end counts once.
    assert_eq!(bench.limits.release(LeaseId(50)).await, Ok(true));
    assert_eq!(bench.limits.release(LeaseId(50)).await, Ok(false));
    bench.begun(&bounds, me, 52).await;
    assert!(matches!(bench.begin(&bounds, me, 53).await, Admission::Limited(_)));
    // A job counts on all its owners, also on those that had no bound when it began.
    let other = Owners { group: Some(GroupId(6)), ..owners(6, 6) };
    bench.begun(&[], other, 60).await;
    for owner in other.each() {
        assert_eq!(bench.peek(bound(owner, What::Jobs, 3), other).await.remaining, 2);
    }
    for job in [51, 52, 60] {
        assert_eq!(bench.limits.release(LeaseId(job)).await, Ok(true));
    }
}

async fn a_lost_job_ends_by_itself(bench: &Bench<'_>) {
    let me = owners(7, 7);
    let place = [of_key(me, What::Jobs, 1)];
    bench.begun(&place, me, 70).await;
    bench.backend.advance(TERM - Duration::from_secs(1));
    assert!(matches!(bench.begin(&place, me, 71).await, Admission::Limited(_)));
    // Who still knows of it renews its term.
    bench.limits.restore(&[Lease { id: LeaseId(70), owners: me }]).await.unwrap();
    bench.backend.advance(Duration::from_secs(2));
    assert!(matches!(bench.begin(&place, me, 71).await, Admission::Limited(_)));
    bench.backend.advance(TERM);
    bench.begun(&place, me, 71).await;
    assert_eq!(bench.limits.release(LeaseId(70)).await, Ok(false), "too late");
    assert_eq!(bench.limits.release(LeaseId(71)).await, Ok(true));
}

async fn one_key_cannot_use_up_a_rate_of_many(bench: &Bench<'_>) {
    let (greedy, modest) = (owners(8, 80), owners(8, 81));
    let rate = [bound(Owner::Tenant(TenantId(8)), What::Requests, 20)];
    assert_eq!(bench.granted_of(50, &rate, greedy).await, 20, "alone it has all");
    bench.granted(&rate, modest).await;
    let (mut greedy_calls, mut modest_calls) = (0, 0);
    for second in 1..=120 {
        bench.backend.advance(Duration::from_secs(1));
        greedy_calls += bench.granted_of(5, &rate, greedy).await;
        if second % 7 == 0 {
            bench.granted(&rate, modest).await;
            modest_calls += 1;
        }
    }
    assert_eq!(modest_calls, 17);
    assert!((20..=24).contains(&greedy_calls), "what 40 calls leave: {greedy_calls}");
}

async fn one_key_cannot_take_all_places(bench: &Bench<'_>) {
    let (greedy, modest) = (owners(9, 90), owners(9, 91));
    let places = [bound(Owner::Tenant(TenantId(9)), What::Jobs, 4)];
    for job in 900..904 {
        bench.begun(&places, greedy, job).await;
    }
    assert!(matches!(bench.begin(&places, modest, 910).await, Admission::Limited(_)), "none is taken back");
    for (ended, begun) in [(900, 910), (901, 911)] {
        assert_eq!(bench.limits.release(LeaseId(ended)).await, Ok(true));
        assert!(matches!(bench.begin(&places, greedy, 904).await, Admission::Limited(_)));
        bench.begun(&places, modest, begun).await;
    }
    // Half is the modest key's: its places stay free for it between two jobs.
    assert_eq!(bench.limits.release(LeaseId(910)).await, Ok(true));
    assert!(matches!(bench.begin(&places, greedy, 904).await, Admission::Limited(_)));
    bench.begun(&places, modest, 912).await;
    for job in [902, 903, 911, 912] {
        assert_eq!(bench.limits.release(LeaseId(job)).await, Ok(true));
    }
}

async fn peeking_counts_nothing(bench: &Bench<'_>) {
    let (me, other) = (owners(10, 100), owners(10, 101));
    let tenant = bound(Owner::Tenant(TenantId(10)), What::Requests, 6);
    let bounds = [tenant, of_key(me, What::Requests, 5), of_key(me, What::Jobs, 4)];
    for _ in 0..20 {
        let standings = bench.limits.peek(&bounds, me).await.unwrap();
        assert_eq!(standings.iter().map(|standing| standing.bound).collect::<Vec<_>>(), bounds);
        assert_eq!(standings.iter().map(|standing| standing.remaining).collect::<Vec<_>>(), [6, 5, 4]);
        assert!(standings.iter().all(|standing| standing.reset.is_none()));
        // Nor does a look make a key one of those that share.
        assert_eq!(bench.peek(tenant, other).await.remaining, 6);
    }
    bench.granted(&bounds, me).await;
    let left = bench.peek(bounds[1], me).await;
    assert_eq!((left.remaining, left.reset), (4, Some(Duration::from_secs(12))));
}

async fn invariant_9_rates_may_be_forgotten_and_jobs_are_restored(bench: &Bench<'_>, fresh: Arc<dyn Limits>) {
    let me = owners(11, 11);
    let (rate, place) = (of_key(me, What::Requests, 1), of_key(me, What::Jobs, 2));
    bench.begun(&[rate, place], me, 110).await;
    bench.refused(&[rate], me).await;
    // After a crash the ledger tells what is in flight, and that may be more than the limit.
    let restarted = Bench { backend: bench.backend, limits: fresh };
    let leases = [110, 111, 112].map(|id| Lease { id: LeaseId(id), owners: me });
    restarted.limits.restore(&leases).await.unwrap();
    restarted.limits.restore(&leases).await.unwrap();
    restarted.granted(&[rate], me).await;
    for job in [110, 111] {
        assert!(matches!(restarted.begin(&[place], me, 113).await, Admission::Limited(_)));
        assert_eq!(restarted.limits.release(LeaseId(job)).await, Ok(true));
    }
    restarted.begun(&[place], me, 113).await;
}

impl Bench<'_> {
    async fn admit(&self, bounds: &[Bound], owners: Owners) -> Admission {
        self.limits.admit(bounds, ask(owners)).await.unwrap()
    }

    async fn granted(&self, bounds: &[Bound], owners: Owners) {
        let admission = self.admit(bounds, owners).await;
        assert!(matches!(admission, Admission::Granted(_)), "{admission:?}");
    }

    async fn granted_of(&self, asks: u32, bounds: &[Bound], owners: Owners) -> u32 {
        let mut granted = 0;
        for _ in 0..asks {
            granted += u32::from(matches!(self.admit(bounds, owners).await, Admission::Granted(_)));
        }
        granted
    }

    async fn refused(&self, bounds: &[Bound], owners: Owners) -> Limited {
        match self.admit(bounds, owners).await {
            Admission::Limited(limited) => limited,
            granted => panic!("{granted:?}"),
        }
    }

    async fn begin(&self, bounds: &[Bound], owners: Owners, job: i64) -> Admission {
        self.limits.admit(bounds, Ask { owners, job: Some(LeaseId(job)) }).await.unwrap()
    }

    async fn begun(&self, bounds: &[Bound], owners: Owners, job: i64) {
        let admission = self.begin(bounds, owners, job).await;
        assert!(matches!(admission, Admission::Granted(_)), "{admission:?}");
    }

    async fn peek(&self, bound: Bound, owners: Owners) -> Standing {
        self.limits.peek(&[bound], owners).await.unwrap()[0]
    }
}

fn owners(tenant: i64, key: i64) -> Owners {
    Owners { tenant: TenantId(tenant), group: None, key: KeyId(key) }
}

fn ask(owners: Owners) -> Ask {
    Ask { owners, job: None }
}

fn bound(owner: Owner, what: What, limit: u32) -> Bound {
    Bound { owner, what, limit: NonZeroU32::new(limit).unwrap() }
}

fn of_key(owners: Owners, what: What, limit: u32) -> Bound {
    bound(Owner::Key(owners.key), what, limit)
}
