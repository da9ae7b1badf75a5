//! Files of earlier versions of the format.

use super::*;

const EARLIER: &[(&str, &str, &str)] = &[
    ("order", include_str!("earlier/order.1.yaml"), include_str!("earlier/order.2.yaml")),
    ("idioms", include_str!("earlier/idioms.1.yaml"), include_str!("earlier/idioms.2.yaml")),
];

/// A file as it was shipped, and one with all that the earlier version read over: refused, with the way out named, and
/// rewritten they are what stands beside them.
#[test]
fn earlier_files_are_refused_and_rewritten() {
    for (name, before, after) in EARLIER {
        let (mapping, found) = compile(name, before, &Both);
        assert!(mapping.is_none());
        let codes: Vec<_> = found.iter().map(|finding| (finding.code, finding.place.line)).collect();
        let line = 1 + before.lines().position(|line| line == "version: 1").unwrap();
        assert_eq!(codes, [("version-old", line)], "{name}");
        assert!(found[0].suggestion.as_ref().unwrap().en.contains("tongbao mapping check --fix"));
        assert_eq!(upgrade(name, before).unwrap().text, *after, "{name}");
    }
}

/// An included file of an earlier version is told of by its own name.
#[test]
fn each_file_has_its_own_version() {
    let base = SourceFile { path: "base.yaml".into(), text: good().replace("version: 2", "version: 1") };
    let own =
        SourceFile { path: "own.yaml".into(), text: "mapping: own\nversion: 2\nextends: base.yaml\n".into() };
    let both = [own, base];
    let (mapping, found) = compile_with("own.yaml", &both[0].text, &Both, &TheseFiles(&both[1..]));
    assert!(mapping.is_none());
    assert_eq!((found[0].code, found[0].file.as_str()), ("version-old", "base.yaml"));
    // Texts that were kept are read as what they are rewritten to.
    let (mapping, found) = compile_files(&both, &Both);
    let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
    let made = mapping.run(&contract(), &tables()).unwrap();
    let (today, _) = compile("good", &good(), &Both);
    assert_eq!(made, today.unwrap().run(&contract(), &tables()).unwrap());
}
