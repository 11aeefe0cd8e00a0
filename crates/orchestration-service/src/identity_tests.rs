use super::*;
use crate::state::ServiceKey;
use crate::tests::fakes::Signer;
use kernel::{Clock, Time};
use store::clock::Manual;

fn badge() -> Badge {
    let claims = json!({ "sub": "x" });
    let token = |variable: &str, secs| (variable.into(), claims.clone(), Duration::from_secs(secs));
    Badge { workload: "shop.web.1.0.1".into(), tokens: vec![token("A", 600), token("B", 3600)] }
}

async fn there(path: &Path, wanted: impl Fn(&Value) -> bool) -> Value {
    let read = async {
        loop {
            // Never empty and never half: what is opened is whole.
            let token: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            if wanted(&token) {
                return token;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("renewed")
}

#[tokio::test]
async fn tokens_are_renewed_when_half_of_the_shortest_life_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Manual::new(Time(0));
    let options = store::Options { clock: Arc::new(clock.clone()), ..store::Options::default() };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let blobs = blob::Blobs::open(&dir.path().join("blobs"), store.clone()).await.unwrap();
    let files = Files::open(dir.path(), blobs).await.unwrap();
    let signer: Arc<dyn Identity> = Arc::new(Signer::default());
    let badge = badge();
    badge.issue(Some(&signer), &files).await.unwrap();
    let path = files.id_tokens(&badge.workload).join("A");
    assert_eq!(there(&path, |_| true).await["jti"], 0);
    let keeping = {
        let (badge, files, store, signer) = (badge.clone(), files.clone(), store.clone(), signer);
        tokio::spawn(async move { badge.keep(Some(signer), &files, &store).await })
    };
    for round in 1..4 {
        let asleep = async {
            while !clock.skip() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asleep).await.expect("it sleeps");
        there(&path, |t| t["jti"] == 2 * round).await;
        assert_eq!(clock.now(), Time(300_000 * round), "at the half of ten minutes");
    }
    keeping.abort();
    let _ = keeping.await;
    end(&files, &badge.workload).await;
    assert!(!path.exists());
    assert!(put(path.parent().unwrap(), "A", "late").is_err(), "nothing is written after the end");
}

#[test]
fn nobody_is_anybody_without_a_signer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let store = Store::open(&dir.path().join("naru.db"), store::Options::default()).unwrap();
        let blobs = blob::Blobs::open(&dir.path().join("blobs"), store).await.unwrap();
        let files = Files::open(dir.path(), blobs).await.unwrap();
        let error = badge().issue(None, &files).await.unwrap_err();
        assert_eq!(error.code(), "identity.missing");
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let token = |aud: &[&str], secs| IdToken {
        aud: Audience::Several(aud.iter().map(|a| (*a).to_owned()).collect()),
        life: Length::secs(secs),
    };
    let of = |variable: &str, token: IdToken| {
        let mut service = Service::new("app");
        service.env.insert("TAKEN".into(), "x".into());
        service.id_tokens.insert(variable.into(), token);
        kernel::Kind::check(&service)
    };
    assert!(of("SHOP", token(&["a"], 60)).is_ok());
    for (variable, wrong) in [
        ("SHOP", token(&[], 600)),
        ("SHOP", token(&[""], 600)),
        ("SHOP", token(&["a"], 59)),
        ("SHOP", token(&["a"], 13 * 3600)),
        ("TAKEN", token(&["a"], 600)),
        ("NARU_X", token(&["a"], 600)),
        ("../x", token(&["a"], 600)),
        ("PORT", token(&["a"], 600)),
    ] {
        assert_eq!(
            of(variable, wrong.clone()).unwrap_err().code(),
            "service.spec",
            "{variable}: {wrong:?}"
        );
    }
    let key = ServiceKey::new(&Name::parse("shop").unwrap(), &Name::parse("web").unwrap());
    assert_eq!(Place { key, number: 1, slot: 0, n: 1 }.id(), "shop.web.1.0.1");
}
