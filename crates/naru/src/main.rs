fn main() -> std::process::ExitCode {
    naru::main()
}
