//! Tables as the tools print them: every cell padded, the last of a row too.

/// Lays out rows under a header: cells are separated by `|`, a row of blanks stands below the header.
///
/// Rows carry trailing blanks; programs that cut columns rely on them.
#[must_use]
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let blank: [&str; COLUMNS] = [""; COLUMNS];
    let mut lines = vec![line(&header, &widths), line(&blank, &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

fn line<S: AsRef<str>, const COLUMNS: usize>(cells: &[S; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", cell.as_ref())).collect();
    padded.join("  |  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_padded() {
        let rows = [["marathon.portal", "1/1", ""], ["test.web", "1/2", "é ok"]].map(|row| row.map(str::to_owned));
        let expected = [
            "cluster          |  ok   |  status",
            "                 |       |        ",
            "marathon.portal  |  1/1  |        ",
            "test.web         |  1/2  |  é ok  ",
        ];
        assert_eq!(table(["cluster", "ok", "status"], &rows), expected.join("\n"));
    }
}
