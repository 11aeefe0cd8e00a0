use super::*;
use kernel::Name;
use store::clock::Manual;

fn proven(who: &str, id: &str, seen: u64) -> Proven {
    let credential =
        Credential { kind: CredentialKind::Personal, id: id.into(), ..Credential::none() };
    Proven { principal: Principal::User(Name::parse(who).unwrap()), credential, seen }
}

fn clock() -> Arc<Manual> {
    Arc::new(Manual::new(Time(0)))
}

#[test]
fn an_ending_ends_what_it_covers_and_nothing_else() {
    let (ada, eve) = (proven("ada", "1", 0), proven("eve", "2", 0));
    let other = proven("ada", "3", 0);
    let whom = |ending: Ending| {
        let registry = Registry::default();
        let lives = [&ada, &other, &eve].map(|p| registry.enter(p, clock()));
        registry.end(ending);
        lives.map(|l| l.has_ended())
    };
    let who = ada.principal.clone();
    assert_eq!(whom(Ending::Principal(who.clone())), [true, true, false]);
    assert_eq!(whom(Ending::Credential("1".into())), [true, false, false]);
    assert_eq!(whom(Ending::Sessions(who, None)), [false; 3], "tokens are no sessions");
    assert_eq!(whom(Ending::Credential(String::new())), [false; 3], "no id is nobody's");
}

#[test]
fn the_other_sessions_end_and_this_one_stays() {
    let session = |id: &str| {
        let mut proven = proven("ada", id, 0);
        proven.credential.kind = CredentialKind::Session;
        proven
    };
    let (mine, other) = (session("1"), session("2"));
    let registry = Registry::default();
    let lives = [&mine, &other].map(|p| registry.enter(p, clock()));
    registry.end(Ending::Sessions(mine.principal.clone(), Some("1".into())));
    assert_eq!(lives.map(|l| l.has_ended()), [false, true]);
}

#[test]
fn an_ending_between_the_look_and_the_entry_is_not_missed() {
    let registry = Registry::default();
    let looked = proven("ada", "1", registry.count());
    registry.end(Ending::Credential("1".into()));
    assert!(registry.ended_since(&looked));
    assert!(registry.enter(&looked, clock()).has_ended());
    let again = proven("ada", "1", registry.count());
    assert!(!registry.enter(&again, clock()).has_ended(), "looked up after the end, and found");
    for n in 0..=RECENT {
        registry.end(Ending::Credential(format!("other-{n}")));
    }
    assert!(registry.ended_since(&again), "more endings than are remembered: ask again");
}

#[test]
fn what_is_closed_is_forgotten() {
    let registry = Registry::default();
    let ada = proven("ada", "1", 0);
    let live = registry.enter(&ada, clock());
    let same = live.clone();
    drop(live);
    assert_eq!(registry.held(&ada.principal), 1);
    drop(same);
    assert_eq!(registry.held(&ada.principal), 0);
    assert!(registry.open().held.is_empty());
}

#[tokio::test]
async fn a_credential_that_runs_out_ends_what_it_opened_also_when_the_clock_is_set_forward() {
    let (registry, clock) = (Registry::default(), Manual::new(Time(0)));
    let mut ada = proven("ada", "1", 0);
    ada.credential.until = Some(Time(100_000));
    let live = registry.enter(&ada, Arc::new(clock.clone()));
    let mut ended = std::pin::pin!(live.ended());
    assert!(futures_now(ended.as_mut()).is_none());
    clock.advance(Duration::from_secs(99));
    assert!(futures_now(ended.as_mut()).is_none() && !live.has_ended());
    clock.advance(Duration::from_secs(1));
    ended.await;
    assert!(live.has_ended());
}

fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(out) => Some(out),
        std::task::Poll::Pending => None,
    }
}

struct Says(std::sync::atomic::AtomicBool);

impl Claim for Says {
    fn holds(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.0.load(std::sync::atomic::Ordering::Relaxed) })
    }
}

#[tokio::test]
async fn what_would_not_be_let_in_any_more_ends_at_the_next_review_and_nothing_else_does() {
    let (registry, clock) = (Registry::default(), clock());
    let (one, other) = (
        registry.enter(&proven("ada", "s1", 0), clock.clone()),
        registry.enter(&proven("ada", "s1", 0), clock),
    );
    let says = Arc::new(Says(true.into()));
    one.claim(says.clone());
    registry.review().await;
    assert!(!one.has_ended() && !other.has_ended());
    says.0.store(false, std::sync::atomic::Ordering::Relaxed);
    registry.review().await;
    assert!(one.has_ended() && !other.has_ended());
    one.ended().await;
}
