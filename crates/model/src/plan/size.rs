//! Amounts of memory as people write and read them.

/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// What may follow a number of bytes, and its worth.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", GIB),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Bytes out of `12GiB`, `12.5 GB`, `800MiB` or a plain number.
///
/// # Errors
/// When it is not a positive amount, or more than there can be.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not an amount of memory such as 12GiB, 800MB or 12000000000");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..end], trimmed[end..].trim());
    let is_unit = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
    let worth = match unit {
        "" => 1,
        _ => UNITS.iter().find(is_unit).ok_or_else(wrong)?.1,
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * worth as f64;
    if bytes >= 1.0 && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(wrong()) }
}

/// `12.3 GiB`, or in MiB below one GiB.
pub fn show_bytes(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        _ if bytes < GIB => format!("{:.0} MiB", (bytes as f64 / (1 << 20) as f64).max(1.0)),
        _ => format!("{:.1} GiB", bytes as f64 / GIB as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_every_spelling() {
        for (text, bytes) in [
            ("12GiB", 12 * GIB),
            ("12 gib", 12 * GIB),
            ("1.5GiB", 3 * GIB / 2),
            ("12GB", 12_000_000_000),
            ("800MiB", 800 << 20),
            ("512 MB", 512_000_000),
            ("12000000000", 12_000_000_000),
            ("7B", 7),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn other_words_are_refused_with_an_example() {
        for wrong in ["", "GiB", "12Gi", "-3GB", "0", "1e99GB", "12 apples", "nan"] {
            let error = parse_bytes(wrong).unwrap_err();
            assert!(error.contains("such as 12GiB") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn amounts_are_shown_short() {
        assert_eq!(show_bytes(12 * GIB + GIB / 4), "12.2 GiB");
        assert_eq!((show_bytes(800 << 20), show_bytes(0)), ("800 MiB".into(), "0".into()));
    }
}
