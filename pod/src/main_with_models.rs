//! The program `ochopod-model`: `ochopod` with the engine that runs models.

use std::process::ExitCode;

fn main() -> ExitCode {
    ochopod::program::main(Some(&ochopod::model::Components))
}
