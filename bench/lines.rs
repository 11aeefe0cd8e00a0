//! Prints so many lines of 100 bytes as fast as it can, each telling its number: `lines COUNT`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let count: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut line = *b"0000000000 the quick brown fox jumps over the lazy dog, and the ferry crosses the river at last, ok\n";
    let mut out = std::io::stdout().lock();
    let mut batch = Vec::with_capacity(64 * 1024);
    for _ in 0..count {
        batch.extend_from_slice(&line);
        if batch.len() + line.len() > batch.capacity() {
            out.write_all(&batch)?;
            batch.clear();
        }
        for digit in line[..10].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
    }
    out.write_all(&batch)
}
