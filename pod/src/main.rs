//! The program `ochopod`: small and static, for any container.

use std::process::ExitCode;

fn main() -> ExitCode {
    ochopod::program::main(None)
}
