//! Ids of requests.

use http::HeaderMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const HEADER: &str = "x-request-id";
const LONGEST: usize = 64;

/// The id that the client or a proxy before us gave, if it is one that may stand in a header, a log and a
/// record: 1 to 64 of `A-Z a-z 0-9 - _ . :`. Any other is not ours to repeat, and a new one is made.
pub(crate) fn id(headers: &HeaderMap) -> String {
    let given = headers.get(HEADER).and_then(|v| v.to_str().ok()).filter(|v| sound(v));
    given.map_or_else(fresh, str::to_owned)
}

fn sound(words: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    (1..=LONGEST).contains(&words.len()) && words.bytes().all(fine)
}

/// Unlike any other of this process, and in all likelihood of every process: it names, it guards nothing.
fn fresh() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{:012x}-{:06x}", *PROCESS >> 16, COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_only_when_it_may_stand_anywhere() {
        let long = "x".repeat(65);
        for (given, taken) in [
            ("abc-1_2.3:4", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("<script>", false),
            ("a;b", false),
            (long.as_str(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, given.parse().unwrap());
            assert_eq!(id(&headers) == given, taken, "{given}");
        }
        let none = HeaderMap::new();
        assert_ne!(id(&none), id(&none));
        assert!(sound(&fresh()));
    }
}
