//! What is known of adapters, and those that must not be used: broken ones, and ones of another base.

#![allow(clippy::unwrap_used)] // a test may stop where it stands

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Ended, Workplace};
use serde_json::json;

fn adapter_file(place: &Workplace, summary: &serde_json::Value) -> PathBuf {
    place.path("cache/adapters").join(format!("{}.safetensors", summary["adapterId"].as_str().unwrap()))
}

fn foreign(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapt/tests/fixtures");
    folder.join(format!("{name}.safetensors")).to_str().unwrap().to_owned()
}

fn shown(run: &Ended) -> serde_json::Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn two_runs_with_the_same_seed_give_the_same_bytes() {
    let place = Workplace::new();
    let one = place.edit(&[]).summary();
    let two = place.edit(&["--cache", "other"]).summary();
    assert_eq!(one["adapterId"], two["adapterId"]);
    let name = format!("{}.safetensors", one["adapterId"].as_str().unwrap());
    let read = |cache: &str| fs::read(place.path(cache).join("adapters").join(&name)).unwrap();
    assert!(read("cache") == read("other"));
}

#[test]
fn an_adapter_of_the_cache_tells_where_it_comes_from() {
    let place = Workplace::new();
    let summary = place.edit(&[]).summary();
    let id = summary["adapterId"].as_str().unwrap();
    let shown = shown(&place.run(&["adapters", "show", &id[..6], "--json"]));
    let (contents, provenance) = (&shown["contents"], &shown["contents"]["provenance"]);
    assert_eq!(shown["adapter"], id);
    assert_eq!((&provenance["base"], &provenance["frames"]), (&"tiny".into(), &"1001-1005".into()));
    assert_eq!((&provenance["shot"], &provenance["step"]), (&summary["shotId"], &12.into()));
    assert_eq!(provenance["baseFingerprint"], shown["training"]["baseFingerprint"]);
    assert_eq!(provenance["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        (provenance["finalLoss"].as_f64().unwrap() - shown["training"]["finalLoss"].as_f64().unwrap()).abs()
            < 1e-6
    );
    let recipe: serde_json::Value = serde_json::from_str(provenance["recipe"].as_str().unwrap()).unwrap();
    assert_eq!(recipe["rank"], 2);
    assert_eq!((&contents["layers"], &contents["ranks"]), (&20.into(), &json!([2])));
    assert_eq!((&contents["dtypes"], &contents["ignored"]), (&json!(["bf16"]), &json!([])));

    // By its file too, from wherever it is.
    let copy = place.path("handed on.safetensors");
    fs::copy(adapter_file(&place, &summary), &copy).unwrap();
    let run = place.run(&["adapters", "show", "handed on.safetensors"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for words in
        ["LoRA-Edit", "tiny (", "frames 1001-1005", "at step 12", "\"rank\":2", "20 in 2 blocks", "bf16"]
    {
        assert!(run.stdout.contains(words), "no {words} in {}", run.stdout);
    }
}

#[test]
fn an_adapter_of_some_layers_is_another_one_and_says_so() {
    let place = Workplace::new();
    let whole = place.edit(&[]).summary();
    let all = place.edit(&["--targets", "ffn, cross_attn,self_attn"]).summary();
    assert_eq!((&all["adapterId"], &all["trained"]), (&whole["adapterId"], &false.into()));
    let some = place.edit(&["--targets", "ffn"]).summary();
    assert_ne!(some["adapterId"], whole["adapterId"]);
    let id = some["adapterId"].as_str().unwrap();
    let shown = shown(&place.run(&["adapters", "show", id, "--json"]));
    assert_eq!((&shown["contents"]["layers"], &shown["contents"]["parts"]), (&4.into(), &json!(["ffn"])));
    assert_eq!(shown["training"]["recipe"]["targets"], "ffn");
    let lines = place.run(&["adapters", "show", id]).stdout;
    assert!(lines.lines().any(|line| line == "targets         ffn"), "{lines}");
    // It is read again for another generation.
    assert_eq!(place.edit(&["--targets", "ffn", "--seed", "2"]).summary()["trained"], false);
    let refused = place.edit(&["--targets", "ffn,attention"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for words in ["--targets", "attention", "self_attn, cross_attn, ffn"] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
}

#[test]
fn a_file_from_elsewhere_tells_what_can_be_known() {
    let place = Workplace::new();
    let run = place.run(&["adapters", "show", &foreign("adapter_second_kohya")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for words in ["another program", "rank            5", "20 in 2 blocks of width 24", "bf16"] {
        assert!(run.stdout.contains(words), "no {words} in {}", run.stdout);
    }
    let both = shown(&place.run(&["adapters", "show", "--json", &foreign("adapter_experts")]));
    assert_eq!(
        (&both["contents"]["lowNoiseExpert"], &both["contents"]["provenance"]),
        (&true.into(), &().into())
    );
    place.run(&["adapters", "show", &foreign("adamw")]).failed(4, &["adamw.safetensors", "no low-rank pair"]);
    place.run(&["adapters", "show", "gone.safetensors"]).failed(4, &["gone.safetensors"]);
    place.run(&["adapters", "show", "0123"]).failed(4, &["no adapter '0123'"]);
}

#[test]
fn a_broken_adapter_is_refused_by_its_name() {
    let place = Workplace::new();
    let summary = place.edit(&[]).summary();
    let file = adapter_file(&place, &summary);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[40] ^= 1 << 7;
    for broken in [&whole[..whole.len() / 2], &whole[..whole.len() - 1], &whole[..5], &flipped[..]] {
        fs::write(&file, broken).unwrap();
        place.edit(&["--seed", "2"]).failed(4, &[&name]);
        place.run(&["adapters", "show", file.to_str().unwrap()]).failed(4, &[&name]);
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(place.edit(&["--seed", "2"]).summary()["trained"], false);
}

#[test]
fn an_adapter_of_another_base_is_refused_with_both_names() {
    let place = Workplace::new();
    let of_tiny = adapter_file(&place, &place.edit(&[]).summary());
    // The same networks, but another model: its configuration has one word more.
    copy_folder(&place.path("models/tiny"), &place.path("models/sibling"));
    let config = place.path("models/sibling/transformer/config.json");
    fs::write(&config, fs::read_to_string(&config).unwrap().replacen('{', "{\"note\": 1, ", 1)).unwrap();
    let of_sibling = adapter_file(&place, &place.edit(&["--model", "sibling"]).summary());
    assert_ne!(of_tiny, of_sibling);

    fs::copy(&of_tiny, &of_sibling).unwrap();
    let name = of_sibling.file_name().unwrap().to_str().unwrap();
    place
        .edit(&["--model", "sibling", "--seed", "2"])
        .failed(4, &[name, "trained on base 'tiny'", "not on 'sibling'"]);
    // One that says nothing of its base, and has other sizes.
    fs::copy(foreign("adapter_native"), &of_sibling).unwrap();
    place
        .edit(&["--model", "sibling", "--seed", "2"])
        .failed(4, &[name, "does not fit the base", "base 'sibling'"]);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), &target).map(|_| ()).unwrap()
        }
    }
}
