//! What a measurement was made on. Only results of the same class are compared.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Short and stable: `x86-64-2c-24g-xeon-platinum-8481c`.
    pub class: String,
    pub cores: usize,
    /// GiB, rounded.
    pub memory: u64,
    pub cpu: String,
}

impl Machine {
    /// This one. What cannot be read is left empty.
    pub fn here() -> Machine {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let cpu = field(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
        let kib = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: u64 = kib.split_whitespace().next().and_then(|w| w.parse().ok()).unwrap_or(0);
        let memory = (kib + (1 << 19)) >> 20;
        Machine { class: class(std::env::consts::ARCH, cores, memory, &cpu), cores, memory, cpu }
    }
}

fn field(words: &str, name: &str) -> Option<String> {
    let line = words.lines().find(|l| l.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn class(arch: &str, cores: usize, memory: u64, cpu: &str) -> String {
    // Clock rates and trademarks say nothing that the model does not.
    let noise = ["(r)", "(tm)", "cpu", "processor", "core", "intel", "amd", "@"];
    let plain = cpu.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let model: Vec<&str> = plain
        .split_whitespace()
        .filter(|w| !noise.contains(w) && !w.ends_with("ghz"))
        .take(4)
        .collect();
    let words = format!("{arch}-{cores}c-{memory}g-{}", model.join("-"));
    kernel::Name::slug(&words).map_or_else(|| "unknown".to_owned(), |n| n.to_string())
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn classes_are_short_and_stable() {
        let cpu = "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz";
        assert_eq!(class("x86_64", 2, 24, cpu), "x86-64-2c-24g-xeon-platinum-8481c");
        assert_eq!(class("aarch64", 8, 16, ""), "aarch64-8c-16g");
    }
}
