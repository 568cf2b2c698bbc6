//! Every package of the tree is under a permissive licence that we have read.

mod metadata;

/// SPDX identifiers that may be linked into a product under MIT OR Apache-2.0.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn the_whole_tree_is_permissive() {
    let tree = metadata::tree();
    let refused: Vec<String> = metadata::array(&tree["packages"])
        .iter()
        .map(|package| (metadata::text(&package["name"]), metadata::text(&package["license"])))
        .filter(|(_, licence)| !is_allowed(licence))
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect();
    assert!(refused.is_empty(), "licences outside the allow list: {refused:#?}");
}

#[test]
fn a_licence_outside_the_list_is_refused() {
    assert!(is_allowed("MIT OR GPL-3.0"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    for licence in ["GPL-3.0", "MIT AND LGPL-2.1", "", "MPL-2.0"] {
        assert!(!is_allowed(licence), "{licence:?} passed");
    }
}

/// An SPDX expression of identifiers, AND, OR (or the older `/`) and one level of brackets: every
/// AND part needs one allowed alternative.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    split(&expression, " AND ").iter().all(|part| {
        let part = part.trim();
        match part.strip_prefix('(').and_then(|p| p.strip_suffix(')')) {
            Some(inner) => is_allowed(inner),
            None => split(part, " OR ").iter().any(|alternative| {
                let alternative = alternative.trim();
                if alternative.starts_with('(') {
                    is_allowed(alternative)
                } else {
                    ALLOWED.contains(&alternative)
                }
            }),
        }
    })
}

/// Splits at a word that stands outside brackets.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, letter) in text.char_indices() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if depth == 0 && at >= start && text[at..].starts_with(word) {
            parts.push(&text[start..at]);
            start = at + word.len();
        }
    }
    parts.push(&text[start..]);
    parts
}
