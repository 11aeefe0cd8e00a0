//! Looking up what a pipeline is made of: gathering says what it wants, a library finds it, until all is there.

use crate::gitlab::{self, Context, Files, Gathered, Given, Got, Loaded, Wanted};
use futures_util::StreamExt;
use kernel::{BoxFuture, Error, Result, text};

/// Rounds of looking up. Each goes one level of includes deeper, or reads a list of paths.
const MAX_ROUNDS: usize = 120;

/// Files that are looked up at a time.
const AT_ONCE: usize = 8;

/// Whoever can look things up.
pub trait Library: Send + Sync {
    /// Says of what is not to be had why: [`Got::Absent`], [`Got::Refused`].
    ///
    /// # Errors
    /// Only faults of ours, after which asking again may help.
    fn find<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Got>>;

    /// Reads into the context what the files ask about: the commit's tree, what a push changed.
    fn look<'a>(&'a self, files: &'a Files, context: &'a mut Context) -> BoxFuture<'a, Result<()>>;
}

/// Reads `root` and all that it includes.
///
/// # Errors
/// As [`gitlab::gather`], and faults of the library.
pub async fn load(
    library: &dyn Library,
    root: &str,
    given: &Given,
    mut files: Files,
    context: &mut Context,
) -> Result<Loaded> {
    for _ in 0..MAX_ROUNDS {
        library.look(&files, context).await?;
        match gitlab::gather(root, given, &files, context)? {
            Gathered::Whole(loaded) => return Ok(loaded),
            Gathered::Missing(missing) => {
                // Servers elsewhere take their time: several are asked at once.
                let look = |wanted| async move { (library.find(&wanted).await, wanted) };
                let mut found =
                    futures_util::stream::iter(missing).map(look).buffer_unordered(AT_ONCE);
                while let Some((got, wanted)) = found.next().await {
                    files.insert(wanted, got?);
                }
            }
        }
    }
    let say = text!(
        "includes nest more than {MAX_ROUNDS} levels deep",
        "include가 {MAX_ROUNDS}단계를 넘습니다"
    );
    Err(Error::invalid("pipeline.include", say).at(root, 1, 1))
}
