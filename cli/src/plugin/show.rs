//! How tools, plans and limits look: tables of rows, and lists of a name and a value.

use std::time::Duration;

use ocho_core::Grants;
use ocho_core::tools::{Activation, ActivationState, InstallPlan, LimitView, LimitsView, Metadata, SignatureView};

/// Rows under a header, as the tools print them.
pub(super) fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |cells: [&str; COLUMNS]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  |  ")
    };
    let mut lines = vec![line(header), line([""; COLUMNS])];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

/// Names and values, one pair a line; a value of several lines stays below itself. Pairs without a value are left out.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    let indent = format!("\n{}", " ".repeat(width + 2));
    let lines: Vec<String> =
        shown.map(|(name, value)| format!("{name:<width$}  {}", value.lines().collect::<Vec<_>>().join(&indent))).collect();
    lines.join("\n")
}

/// `96.0 KiB`, `3 bytes`.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if u128::from(bytes) >= unit {
            // Wide enough for whatever a host says.
            let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
            let part = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
            return format!("{}{part} {name}", tenths / 10);
        }
    }
    format!("{bytes} bytes")
}

/// `250 ms`, `30 s`, `10 min`, `6 h`.
pub(super) fn time(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "min"), (1_000, "s")] {
        if millis >= unit && millis.is_multiple_of(unit) {
            return format!("{} {name}", millis / unit);
        }
    }
    format!("{millis} ms")
}

/// `name version`: what a component calls itself.
pub(super) fn title(metadata: &Metadata) -> String {
    [&metadata.name, &metadata.version].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// What a component says about itself beyond its name.
pub(super) fn about(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        ("description", text(&metadata.description)),
        ("authors", text(&metadata.authors)),
        ("licence", text(&metadata.licenses)),
        ("source", text(&metadata.source)),
        ("homepage", text(&metadata.homepage)),
    ]
}

/// The fence of a tool's runs. What was set for this tool says so.
pub(super) fn limits(limits: &LimitsView) -> Vec<(&'static str, String)> {
    let show = |limit: LimitView, show: &dyn Fn(u64) -> String| {
        let value = limit.value.map_or_else(|| "no limit of its own".to_owned(), show);
        if limit.is_override { format!("{value} (set for this tool)") } else { value }
    };
    let millis = |value| time(Duration::from_millis(value));
    vec![
        ("memory", show(limits.memory_bytes, &size)),
        ("wall", show(limits.wall_ms, &millis)),
        ("cpu", show(limits.cpu_ms, &millis)),
        ("output", show(limits.output_bytes, &size)),
        ("runs", show(limits.runs, &|value| value.to_string())),
    ]
}

/// Interfaces, or a word where there are none.
pub(super) fn grants(grants: &Grants) -> String {
    if grants.is_empty() { "none".to_owned() } else { grants.to_string() }
}

/// What an installation changes.
pub(super) fn plan(plan: &InstallPlan) -> String {
    let changed = |before: Option<String>, after: String| match before {
        Some(before) if before != after => format!("{before} -> {after}"),
        _ => after,
    };
    let mut rows = vec![
        ("tool", plan.tool.to_string()),
        ("revision", changed(plan.from.map(|from| from.to_string()), plan.to.to_string())),
        ("version", changed(plan.version_before.clone(), plan.metadata.version.clone().unwrap_or_default())),
        ("size", changed(plan.bytes_before.map(size), size(plan.bytes))),
        ("SHA-256", plan.digest.clone()),
        ("WASI", plan.wasi.map(|wasi| wasi.to_string()).unwrap_or_default()),
    ];
    rows.extend(about(&plan.metadata));
    let signature = match &plan.signature {
        SignatureView::Unsigned => "none".to_owned(),
        SignatureView::Unchecked => "there is one, and the host has no key to check it with".to_owned(),
        SignatureView::Good { key, comment } => format!("good, by {key}: {comment}"),
    };
    let only = |grants: &Grants| if grants.is_empty() { String::new() } else { grants.to_string() };
    rows.extend([
        ("imports", grants(&plan.imports)),
        ("imports added", only(&plan.imports_added)),
        ("imports removed", only(&plan.imports_removed)),
        ("grants", grants(&plan.grants)),
        ("grants added", only(&plan.grants_added)),
        ("missing", only(&plan.missing)),
    ]);
    rows.extend(limits(&plan.limits));
    rows.extend([
        ("signature", signature),
        ("replaces", plan.replaces.map(|origin| format!("what is {origin}")).unwrap_or_default()),
        ("drops", plan.drops.iter().map(|number| format!("revision {number}")).collect::<Vec<_>>().join(", ")),
    ]);
    pairs(&rows)
}

/// What came of a change, in a line.
pub(super) fn activation(done: &Activation) -> String {
    let revision = done.revision.map(|revision| format!("revision {revision} ")).unwrap_or_default();
    let is = match done.state {
        ActivationState::Active => "is active",
        ActivationState::Waiting => "waits for a grant",
        ActivationState::Inactive => "cannot run now",
    };
    let ended = match done.runs_ended {
        0 => String::new(),
        1 => ", 1 run was ended".to_owned(),
        more => format!(", {more} runs were ended"),
    };
    format!("{}: {revision}{is}{ended}", done.tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (98_765, "96.5 KiB"),
            (256 << 20, "256 MiB"),
            (u64::MAX, "17179869184 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (millis, text) in
            [(0, "0 ms"), (250, "250 ms"), (30_000, "30 s"), (600_000, "10 min"), (21_600_000, "6 h"), (90_000, "90 s")]
        {
            assert_eq!(time(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn pairs_and_tables() {
        let shown = pairs(&[("a", "1\n2".to_owned()), ("empty", String::new()), ("long", "3".to_owned())]);
        assert_eq!(shown, "a     1\n      2\nlong  3");
        assert_eq!(table(["a", "b"], &[["xy".to_owned(), "é".to_owned()]]), "a   |  b\n    |   \nxy  |  é");
    }
}
