//! Durable small transactions per second, from concurrent writers: `commits [WRITERS] [SECONDS]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number =
        |i: usize, or: u64| std::env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (writers, seconds) = (number(1, 64), number(2, 5));
    let dir = tempfile::tempdir_in(".")?;
    let store = store::Store::open(&dir.path().join("bench.db"), store::Options::default())?;
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..writers)
        .map(|w| {
            let (store, done) = (store.clone(), done.clone());
            tokio::spawn(async move {
                let mut n = 0_u64;
                while Instant::now() < end {
                    let fact = kernel::NewEvent::new(
                        "bench.fact",
                        kernel::Principal::part("bench"),
                        kernel::Text::fixed("measured", "측정"),
                    );
                    n += 1;
                    store
                        .write(move |tx| {
                            tx.set_row("bench.row", &format!("{w}/{}", n % 100), &n)?;
                            tx.append(fact)
                        })
                        .await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), kernel::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    println!("{}", done.load(Ordering::Relaxed) / seconds);
    store.verify().await?;
    Ok(())
}
