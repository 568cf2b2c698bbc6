//! Sizes and networks in words.

use lora_edit_model::detect::Found;

/// The most missing tensors that are named; of more, the number is said.
const NAMED: usize = 8;

/// Bytes with a unit, decimal as shops and download pages count them.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        1e9.. => format!("{:.1} GB", bytes / 1e9),
        1e6.. => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} kB", bytes / 1e3),
    }
}

/// `bf16`, or `fp8_e4m3 scaled with bf16`: formats that take a hundredth of the bytes or more.
pub fn formats(found: &Found) -> String {
    let large = found.formats.iter().filter(|(_, bytes)| *bytes * 100 >= found.bytes);
    large.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" with ")
}

/// What is wrong with a network, if anything: one line.
pub fn trouble(found: &Found) -> Option<String> {
    let lacks = match found.missing.as_slice() {
        [] => None,
        [name] => Some(format!("lacks the tensor {name}")),
        names => {
            let more = if names.len() > NAMED {
                format!(" and {} more", names.len() - NAMED)
            } else {
                String::new()
            };
            let some = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            Some(format!("lacks {} tensors: {some}{more}", names.len()))
        }
    };
    let unreadable = found.unreadable.first().map(|first| match found.unreadable.len() {
        1 => format!("cannot be read: {first}"),
        many => format!("cannot be read: {first} (and {} more)", many - 1),
    });
    let all: Vec<String> = [lacks, unreadable].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// 16394878784 -> `16,394,878,784`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&String::from_utf8_lossy(group));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        assert_eq!([grouped(7), grouped(1234), grouped(16_394_878_784)], ["7", "1,234", "16,394,878,784"]);
        assert_eq!([size(999), size(26_400_000), size(16_400_000_000)], ["1.0 kB", "26.4 MB", "16.4 GB"]);
    }
}
