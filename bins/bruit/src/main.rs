//! The `bruit` command.

fn main() -> std::process::ExitCode {
    bruit_cli::main_with(std::env::args_os())
}
