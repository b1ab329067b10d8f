//! Tables as Podman prints them: columns as wide as their widest cell, two spaces between them.

/// A table to be printed.
#[derive(Debug, Clone, Default)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table.
    pub fn new(headers: &[&str]) -> Self {
        Self { headers: headers.iter().map(|header| (*header).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Renders it, with or without headers.
    pub fn render(&self, with_headers: bool) -> String {
        let header = with_headers.then_some(&self.headers).filter(|headers| !headers.is_empty());
        let lines: Vec<&Vec<String>> = header.into_iter().chain(&self.rows).collect();
        align(lines.iter().map(|line| line.iter().map(String::as_str).collect()).collect())
    }
}

/// Aligns rows of cells; the last cell of a row is not padded.
pub(crate) fn align(lines: Vec<Vec<&str>>) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |cell: &str| cell.chars().count();
    let widths: Vec<usize> =
        (0..columns).map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] - width(cell) + 2));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["ID", "NAME"]);
        table.row(vec!["1234".into(), "a".into()]);
        assert_eq!(table.render(true), "ID    NAME\n1234  a\n");
        assert_eq!(table.render(false), "1234  a\n");
    }
}
