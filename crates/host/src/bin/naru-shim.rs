//! The shim alone, for the tests of crates that run workloads; users get it as `naru shim`.

fn main() -> std::process::ExitCode {
    let dir = std::env::args_os().nth(1).unwrap_or_default();
    host::shim_main(std::path::Path::new(&dir))
}
