//! The figures as a table and as JSON.

use anyhow::{Context, Result};
use serde::Serialize;

use super::machine::Machine;

/// One row of the table; nothing is known of a peer that took no part.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The case.
    pub name: String,
    /// Median wall time of a call.
    pub ours_ms: Option<f64>,
    /// The same of the peer.
    pub peer_ms: Option<f64>,
    /// The peer's time over ours, the median of pairs: above 1 we are faster.
    pub speed_ratio: Option<f64>,
    /// Peak resident memory of the case.
    pub ours_mb: Option<f64>,
    /// The same of the peer.
    pub peer_mb: Option<f64>,
    /// Median processor time of a call, all threads together.
    pub ours_cpu_ms: Option<f64>,
    /// The same of the peer.
    pub peer_cpu_ms: Option<f64>,
}

const BEGIN: &str = "<!-- bench table: written by `cargo xtask bench --markdown` -->";
const END: &str = "<!-- end of the bench table -->";

/// The machine in a sentence and the rows in Markdown.
pub fn table(machine: &Machine, rows: &[Row]) -> String {
    let mut text = format!("{}\n\n", machine.sentence());
    text += "| row | ours ms | PyTorch ms | speed ratio | ours MB | PyTorch MB | ours CPU ms | PyTorch CPU ms |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|\n";
    rows.iter().for_each(|row| text += &table_row(row));
    text
}

fn table_row(row: &Row) -> String {
    let cells = [
        ms(row.ours_ms),
        ms(row.peer_ms),
        cell(row.speed_ratio, 2),
        cell(row.ours_mb, 0),
        cell(row.peer_mb, 0),
        ms(row.ours_cpu_ms),
        ms(row.peer_cpu_ms),
    ];
    format!("| {} | {} |\n", row.name, cells.join(" | "))
}

/// What is said while the bench goes on.
pub fn line(row: &Row) -> String {
    let ours = format!("{}: {} ms, {} MB", row.name, ms(row.ours_ms), cell(row.ours_mb, 0));
    match row.speed_ratio {
        Some(_) => format!(
            "{ours}; peer {} ms, {} MB; speed ratio {}",
            ms(row.peer_ms),
            cell(row.peer_mb, 0),
            cell(row.speed_ratio, 2)
        ),
        None => ours,
    }
}

/// Three digits that mean something.
fn ms(value: Option<f64>) -> String {
    let digits = match value {
        Some(value) if value < 1.0 => 3,
        Some(value) if value < 10.0 => 2,
        Some(value) if value < 100.0 => 1,
        _ => 0,
    };
    cell(value, digits)
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

/// `text` with `table` between the marker comments instead of what was there.
///
/// # Errors
/// When a marker is missing.
pub fn replace_table(text: &str, table: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(peer: bool) -> Row {
        let of_peer = |value: f64| peer.then_some(value);
        Row {
            name: "kernel/x/forward".into(),
            ours_ms: Some(12.34),
            peer_ms: of_peer(6.17),
            speed_ratio: of_peer(0.5),
            ours_mb: Some(7.6),
            peer_mb: of_peer(150.0),
            ours_cpu_ms: Some(0.1234),
            peer_cpu_ms: of_peer(1234.5),
        }
    }

    #[test]
    fn json_has_the_agreed_fields_and_null_without_a_peer() {
        let alone = serde_json::to_value(row(false)).unwrap();
        for (field, value) in [
            ("name", json!("kernel/x/forward")),
            ("ours_ms", json!(12.34)),
            ("peer_ms", Value::Null),
            ("speed_ratio", Value::Null),
            ("ours_mb", json!(7.6)),
            ("peer_mb", Value::Null),
        ] {
            assert_eq!(alone.get(field), Some(&value), "{field}");
        }
        assert_eq!(serde_json::to_value(row(true)).unwrap()["speed_ratio"], json!(0.5));
    }

    #[test]
    fn a_row_reads_as_a_line_of_the_table() {
        assert_eq!(
            table_row(&row(true)),
            "| kernel/x/forward | 12.3 | 6.17 | 0.50 | 8 | 150 | 0.123 | 1234 |\n"
        );
        assert_eq!(table_row(&row(false)), "| kernel/x/forward | 12.3 | - | - | 8 | - | 0.123 | - |\n");
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replace_table(&text, "| new |\n").unwrap();
        assert_eq!(new, format!("# Title\n{BEGIN}\n\n| new |\n\n{END}\nrest\n"));
        assert_eq!(replace_table(&new, "| new |\n").unwrap(), new);
        assert!(replace_table("no markers", "").is_err());
    }

    #[test]
    fn the_committed_page_has_the_markers() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../benchmarks/README.md"));
        assert!(replace_table(&page.unwrap(), "").is_ok());
    }
}
