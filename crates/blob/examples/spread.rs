//! How long a directory of 1 GiB takes into the store and out of it again: `spread DIR [FILES]`.

#![allow(clippy::indexing_slicing, reason = "the sizes are its own")]

use blob::{Blobs, Choose};

use std::path::Path;

use std::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: spread DIR [FILES]")?;
    let files = args.next().map_or(Ok(20_000), |n| n.parse())?;
    let dir = Path::new(&dir);
    fill(&dir.join("files"), files)?;
    let store = store::Store::open(&dir.join("naru.db"), store::Options::default())?;
    let blobs = Blobs::open(&dir.join("blobs"), store).await?;
    for round in 0..3 {
        let began = Instant::now();
        let held = blobs.put_tree(&dir.join("files"), Choose::all(u64::MAX, u64::MAX)).await?;
        let put = began.elapsed();
        let out = dir.join(format!("out-{round}"));
        let began = Instant::now();
        blobs.materialise(&held.hash, &out).await?;
        let copied = began.elapsed();
        std::fs::remove_dir_all(&out)?;
        let began = Instant::now();
        blobs.link(&held.hash, &out).await?;
        let linked = began.elapsed();
        println!(
            "{} bytes: put in {put:.2?}, copied out in {copied:.2?}, linked in {linked:.2?}",
            held.size
        );
        std::fs::remove_dir_all(out)?;
    }
    Ok(())
}

/// Files of 26 to 33 KB, none like another, and four large ones.
fn fill(dir: &Path, files: u64) -> std::io::Result<()> {
    let mut state = 1_u64;
    let mut bytes = vec![0_u8; 119 << 20];
    let mut fill = |bytes: &mut [u8]| {
        for word in bytes.chunks_mut(8) {
            // xorshift64*: no block is like another.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let random = state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
            word.copy_from_slice(&random[..word.len()]);
        }
    };
    for n in 0..files {
        let at = dir.join(format!("{:03}", n % 200));
        std::fs::create_dir_all(&at)?;
        let size = 26_000 + usize::try_from(n % 7000).unwrap_or(0);
        fill(&mut bytes[..size]);
        std::fs::write(at.join(format!("{n}.o")), &bytes[..size])?;
    }
    for n in 0..4 {
        fill(&mut bytes);
        std::fs::write(dir.join(format!("large-{n}")), &bytes)?;
    }
    Ok(())
}
