//! Looking up what a pipeline is made of: gathering says what it wants, a library finds it, until all is there.

use crate::gitlab::{self, Context, Files, Gathered, Given, Got, Loaded, Wanted};
use kernel::{BoxFuture, Error, Result, text};

/// Rounds of looking up. Each goes one level of includes deeper, or reads a list of paths.
const MAX_ROUNDS: usize = 120;

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
                for wanted in missing {
                    let got = library.find(&wanted).await?;
                    files.insert(wanted, got);
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
