//! What fuzzing has reached, gone through again without a fuzzer: every file of `fuzz/corpus/` for the target of its folder.
#![cfg(feature = "testing")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use targets::TARGETS;

#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads what it is made of")]
fn every_input_of_every_corpus_holds() {
    for (target, check) in TARGETS {
        let inputs = entries(&format!("fuzz/corpus/{target}"));
        assert!(inputs.len() >= 5, "the corpus of {target} is missing");
        for path in inputs {
            // A panic says what does not hold, and this line, which is shown with it, for which input.
            println!("{}", path.display());
            check(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_target_has_an_entry_for_the_fuzzer_and_a_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for folder in ["fuzz/fuzz_targets", "fuzz/corpus"] {
        let found = entries(folder).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(names, found, "{folder}");
    }
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
