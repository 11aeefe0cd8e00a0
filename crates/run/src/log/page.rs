//! A log file a page at a time, and the pages that several followers are at.
//!
//! A page holds whole records. However a log is read, pages of a finished part of it begin at the same places:
//! the first record at or after each multiple of [`PAGE`]. So whoever follows a log finds the pages that
//! another follower has just read, and each is read and made ready for its readers once.

use bytes::Bytes;
use kernel::log::{self, Record};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// Bytes of a file in one page, but for the rest of its last record.
pub(super) const PAGE: u64 = 256 * 1024;
/// A record longer than this was not written by naru; it is shown in pieces.
const MAX_RECORD: usize = 2 * log::MAX_PIECE;
/// Bytes of pages that are kept for followers that are behind the first.
const KEPT: usize = 64 * 1024 * 1024;

/// Lines of a log that stand next to each other.
pub struct Page {
    first: usize,
    count: usize,
    raw: Bytes,
    /// Where the next page begins.
    end: u64,
    /// The bytes are no record: a piece of one that is too long, or was never completed.
    piece: bool,
    shown: OnceLock<Bytes>,
}

impl Page {
    /// The page of a file that begins with the record at `offset`, its line number `first` of the log;
    /// `None` when there is no whole record yet. What stands after the last record of a file that has
    /// `ended` is a page, too.
    pub(super) fn read(
        file: &File,
        offset: u64,
        first: usize,
        ended: bool,
    ) -> io::Result<Option<Page>> {
        let own = usize::try_from(PAGE - offset % PAGE).unwrap_or(usize::MAX);
        let mut raw = vec![0; own + MAX_RECORD];
        let n = file.read_at(&mut raw, offset)?;
        raw.truncate(n);
        let (used, piece) = match whole(&raw, own) {
            0 if raw.len() >= MAX_RECORD => (MAX_RECORD, true),
            0 if ended && !raw.is_empty() => (raw.len(), true),
            0 => return Ok(None),
            used => (used, false),
        };
        raw.truncate(used);
        let count = if piece { 1 } else { memchr::memchr_iter(b'\n', &raw).count() };
        let (raw, end) = (Bytes::from(raw), offset + used as u64);
        Ok(Some(Page { first, count, raw, end, piece, shown: OnceLock::new() }))
    }

    /// The number of its first line, from 0.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }

    /// The number of the line after its last.
    pub fn after(&self) -> usize {
        self.first + self.count
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Its lines in their order, without copies of their text.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = self.raw.as_ref();
        let piece = self.piece.then(|| Record { whole: false, ..log::damaged(&self.raw) });
        let records = std::iter::from_fn(move || {
            let (record, used) = log::peek(rest)?;
            rest = rest.get(used..)?;
            Some(record)
        });
        piece.into_iter().chain(records.take(if self.piece { 0 } else { usize::MAX }))
    }

    /// What `make` makes of the page: made once, for all who follow.
    pub fn shown(&self, make: impl FnOnce(&Page) -> Bytes) -> Bytes {
        self.shown.get_or_init(|| make(self)).clone()
    }
}

/// Bytes of the whole records that begin before `own`.
fn whole(raw: &[u8], own: usize) -> usize {
    let last = memchr::memrchr(b'\n', raw.get(..own).unwrap_or(raw)).map_or(0, |at| at + 1);
    if last == own || raw.len() <= own {
        return last;
    }
    // One that began before goes on a little after.
    let rest = raw.get(own..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(last, |at| own + at + 1)
}

/// A place in a log file.
type Place = (Arc<Path>, u64);
type Slot = Arc<OnceCell<Arc<Page>>>;

/// The pages that followers are at or were at last, of all logs, as long as anybody follows one.
#[derive(Default)]
pub(super) struct Pages(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    followers: usize,
    pages: HashMap<Place, (Slot, u64)>,
    /// Counts how often a page was asked for; those asked for least lately go first.
    asked: u64,
}

impl Kept {
    /// Lets the pages go that were asked for least lately, until the rest takes no more than is kept.
    fn shrink(&mut self) {
        let mut total: usize = self.pages.values().map(|(slot, _)| weight(slot)).sum();
        while total > KEPT {
            let oldest = self.pages.iter().min_by_key(|(_, (_, asked))| *asked);
            let Some(place) = oldest.map(|(place, _)| place.clone()) else { return };
            total -= self.pages.remove(&place).map_or(0, |(slot, _)| weight(&slot));
        }
    }
}

/// Bytes that a page takes, with what was made of it. One that is being read counts as what it will take at most.
fn weight(slot: &Slot) -> usize {
    let shown = |page: &Arc<Page>| page.shown.get().map_or(0, Bytes::len);
    slot.get().map_or(PAGE as usize + MAX_RECORD, |page| page.raw.len() + shown(page))
}

impl Pages {
    /// The page that begins at a place. Of several who ask for it, one reads it.
    ///
    /// # Errors
    /// `None` when there is nothing yet, else what the file's reading came to.
    pub async fn at<R>(&self, place: &Place, read: R) -> Result<Arc<Page>, Option<io::Error>>
    where
        R: AsyncFnOnce() -> Result<Page, Option<io::Error>>,
    {
        let slot = self.slot(place);
        slot.get_or_try_init(async || read().await.map(Arc::new)).await.cloned()
    }

    fn slot(&self, place: &Place) -> Slot {
        let mut kept = self.lock();
        kept.asked += 1;
        let now = kept.asked;
        if let Some((slot, asked)) = kept.pages.get_mut(place) {
            *asked = now;
            return slot.clone();
        }
        kept.shrink();
        let slot = Slot::default();
        kept.pages.insert(place.clone(), (slot.clone(), now));
        slot
    }

    /// One follower more; when there is none any more, nothing is kept.
    pub fn come(&self) {
        self.lock().followers += 1;
    }

    pub fn leave(&self) {
        let mut kept = self.lock();
        kept.followers = kept.followers.saturating_sub(1);
        if kept.followers == 0 {
            kept.pages = HashMap::new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Time;
    use kernel::log::{MAX_PIECE, Stream};
    use proptest::prelude::*;
    use std::io::Write;

    /// All pages of a file, for somebody who also saw it when it had these lengths.
    fn read(whole: &[u8], seen: &[usize]) -> Vec<Page> {
        let mut file = tempfile::tempfile().unwrap();
        let (mut pages, mut written, mut next) = (Vec::new(), 0, (0, 0));
        for len in seen.iter().copied().chain([whole.len()]) {
            file.write_all(&whole[written..len]).unwrap();
            written = len;
            while let Some(page) = Page::read(&file, next.0, next.1, len == whole.len()).unwrap() {
                next = (page.end(), page.after());
                pages.push(page);
            }
        }
        pages
    }

    fn log_of(lengths: &[usize]) -> Vec<u8> {
        let mut whole = Vec::new();
        for (i, n) in lengths.iter().enumerate() {
            log::encode(&mut whole, Time(i as i64), Stream::Out, true, &vec![b'x'; *n]);
        }
        whole
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_line_comes_once_however_the_file_grows(
            lengths in prop::collection::vec(0..=MAX_PIECE, 0..120), cuts in prop::collection::vec(0.0..1.0, 0..5), torn: bool,
        ) {
            let mut whole = log_of(&lengths);
            if torn { whole.extend_from_slice(b"torn"); }
            let mut seen: Vec<usize> = cuts.iter().map(|c| (c * whole.len() as f64) as usize).collect();
            seen.sort_unstable();
            let pages = read(&whole, &seen);
            let lines: Vec<Record<'_>> = pages.iter().flat_map(Page::records).collect();
            prop_assert_eq!(lines.len(), lengths.len() + usize::from(torn));
            for (line, (i, n)) in lines.iter().zip(lengths.iter().enumerate()) {
                prop_assert_eq!((line.time, line.text.len()), (Time(i as i64), *n));
            }
            if torn { prop_assert_eq!(lines.last().unwrap().text.as_ref(), "torn"); }
            // Who came later meets the others at the end of each full page.
            let ends: Vec<_> = pages.iter().map(|p| (p.end(), p.after())).collect();
            for page in read(&whole, &[]) {
                prop_assert!(page.raw.len() as u64 <= PAGE + MAX_RECORD as u64);
                prop_assert!(ends.contains(&(page.end(), page.after())));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_record_come_in_bounded_pieces() {
        let whole = [vec![b'z'; 1_000_000], b"\n".to_vec(), log_of(&[3, 5])].concat();
        let pages = read(&whole, &[300_000]);
        let lines: Vec<Record<'_>> = pages.iter().flat_map(Page::records).collect();
        assert!(lines.iter().all(|l| l.text.len() as u64 <= PAGE + MAX_RECORD as u64));
        assert_eq!(lines.iter().map(|l| l.text.len()).sum::<usize>(), 1_000_000 + 3 + 5);
        assert_eq!(pages.last().unwrap().after(), lines.len());
    }
}
