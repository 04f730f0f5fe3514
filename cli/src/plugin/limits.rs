//! `ocho plugin limits`: the fence of a tool's runs, shown or set.

use std::process::ExitCode;

use clap::Args;
use ocho_core::ToolName;
use ocho_core::tools::{Activation, LimitsChange, VERSION};
use reqwest::Method;
use serde_json::json;

use super::host::HostArguments;
use super::show;
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin limits hello                              shows them
  ocho plugin limits hello --memory 64MiB --cpu 2s      sets two, the others stay
  ocho plugin limits hello --wall default               goes back to the host's

Sizes are bytes, or end in KiB, MiB or GiB; times end in ms, s, m or h.";

/// Show or set the limits of a tool's runs
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct LimitsArguments {
    /// The tool
    tool: ToolName,
    /// Linear memory of a run
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<Setting>,
    /// From start to end, waiting included
    #[arg(long, value_name = "TIME", value_parser = time)]
    wall: Option<Setting>,
    /// Processor time of the guest
    #[arg(long, value_name = "TIME", value_parser = time)]
    cpu: Option<Setting>,
    /// What a run may print
    #[arg(long, value_name = "SIZE", value_parser = size)]
    output: Option<Setting>,
    /// Runs of the tool at once
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    runs: Option<Setting>,
    #[command(flatten)]
    host: HostArguments,
}

/// A value, or the host's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting(Option<u64>);

/// Sets what was given, and shows what holds now.
pub(crate) fn run(arguments: &LimitsArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let host = arguments.host.connect()?;
    let change = change(arguments);
    if change != LimitsChange::default() {
        let _: Activation = host.order(Method::PUT, &arguments.tool, "/limits", &change)?;
    }
    let detail = host.tool(&arguments.tool)?;
    let value = json!({"version": VERSION, "tool": arguments.tool, "limits": detail.limits});
    arguments.host.print(screen, &value, || show::pairs(&show::limits(&detail.limits)))?;
    Ok(ExitCode::SUCCESS)
}

fn change(arguments: &LimitsArguments) -> LimitsChange {
    let given = |setting: Option<Setting>| setting.map(|Setting(value)| value);
    LimitsChange {
        memory_bytes: given(arguments.memory),
        wall_ms: given(arguments.wall),
        cpu_ms: given(arguments.cpu),
        output_bytes: given(arguments.output),
        runs: given(arguments.runs),
    }
}

fn size(text: &str) -> Result<Setting, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    setting(text, &units).ok_or_else(|| format!("`{text}` does not read as a size: `64MiB`, `1048576` or `default`"))
}

fn time(text: &str) -> Result<Setting, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    setting(text, &units).ok_or_else(|| format!("`{text}` does not read as a time: `250ms`, `30s`, `10m`, `6h` or `default`"))
}

fn number(text: &str) -> Result<Setting, String> {
    setting(text, &[("", 1)]).ok_or_else(|| format!("`{text}` is neither a number nor `default`"))
}

/// The first unit that the text ends in counts.
fn setting(text: &str, units: &[(&str, u64)]) -> Option<Setting> {
    if text == "default" {
        return Some(Setting(None));
    }
    let (digits, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)?;
    Some(Setting(Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_numbers() {
        assert_eq!(size("64MiB"), Ok(Setting(Some(64 << 20))));
        assert_eq!(size("1048576"), Ok(Setting(Some(1 << 20))));
        assert_eq!(time("250ms"), Ok(Setting(Some(250))));
        assert_eq!(time("10m"), Ok(Setting(Some(600_000))));
        assert_eq!(time("default"), Ok(Setting(None)));
        assert_eq!(number("4"), Ok(Setting(Some(4))));
        for wrong in ["", "MiB", "-1", "+1", "1.5MiB", "1 MiB", "99999999999999999999", "18446744073709551615KiB"] {
            assert!(size(wrong).is_err() && time(wrong).is_err() && number(wrong).is_err(), "{wrong}");
        }
        assert!(time("5").is_err());
    }
}
