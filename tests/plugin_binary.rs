//! The plug-in's library: three exports, no tensor library, small.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use object::Object;

#[test]
fn it_exports_the_three_functions_of_openfx_and_nothing_else() {
    let bytes = std::fs::read(common::library()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let mut names: Vec<String> = file
        .exports()
        .unwrap()
        .map(|export| {
            String::from_utf8_lossy(export.unwrap().name().into_name().unwrap_or_default())
                .trim_start_matches('_')
                .to_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["OfxGetNumberOfPlugins", "OfxGetPlugin", "OfxSetHost"]);
}

/// Panics of a linked crate name its sources, and the loader's libraries stand in the file by name.
#[test]
fn it_links_no_tensor_library_and_is_small() {
    let bytes = std::fs::read(common::library()).unwrap();
    for foreign in ["candle-core", "candle_core", "libcuda", "libcublas", "libtorch"] {
        let found = bytes.windows(foreign.len()).any(|window| window == foreign.as_bytes());
        assert!(!found, "the plug-in holds {foreign}");
    }
    assert!(bytes.len() < 8 << 20, "{} bytes", bytes.len());
}
