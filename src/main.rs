//! The `tidegate` binary: it only calls [`tidegate::cli`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
