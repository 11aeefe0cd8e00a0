//! What it costs to have naru running: memory, CPU, time to ready, size.

use super::{cpu_us, naru, release, rss_kb, spread};
use anyhow::Result;
use std::time::Duration;
use testkit::Naru;

pub fn bench() -> Result<()> {
    let exe = naru()?;
    let mut ready = Vec::new();
    for _ in 0..5 {
        ready.push(Naru::start(&exe)?.ready_after.as_secs_f64() * 1000.0);
    }
    let (min, p50, max) = spread(ready);
    println!("ready after: min {min:.0} ms, median {p50:.0} ms, max {max:.0} ms");
    let naru = Naru::start(&exe)?;
    naru.say(&["project", "create", "shop"])?;
    let manifest = "kind: Service\nname: web\nspec:\n  command: python3 -m http.server --bind 127.0.0.1 $PORT\n  replicas: 2\n";
    naru.repository("shop", "web", &[("naru.yaml", manifest)])?.follow()?;
    std::thread::sleep(Duration::from_secs(5));
    let before = cpu_us(naru.pid())?;
    std::thread::sleep(Duration::from_secs(30));
    let used = (cpu_us(naru.pid())? - before) / 30_000_000.0 * 100.0;
    println!("idle with one service of two instances: {used:.2} % of one core over 30 s");
    println!("resident: server {:.1} MB", rss_kb(naru.pid())? as f64 / 1024.0);
    for pid in naru.shims() {
        println!("resident: shim {:.1} MB", rss_kb(pid)? as f64 / 1024.0);
    }
    let size = std::fs::metadata(release("naru")?)?.len();
    println!("binary: {:.1} MB", size as f64 / 1048576.0);
    Ok(())
}
