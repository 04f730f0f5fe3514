//! Links between the documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ocho_tests::programs::root;
use regex::Regex;

use crate::documents;

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let link = Regex::new(r"\[[^\]\n]*\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = prose(&fs::read_to_string(&document).unwrap());
        for found in link.captures_iter(&text) {
            let to = &found[1];
            if to.contains("://") || to.starts_with("mailto:") {
                continue;
            }
            count += 1;
            if let Err(why) = follow(&document, to) {
                broken.push(format!("{}: `{to}` {why}", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(count > 10, "only {count} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// A link is taken from the folder of its document.
fn follow(document: &Path, to: &str) -> Result<(), String> {
    let (file, heading) = to.split_once('#').unwrap_or((to, ""));
    let target = if file.is_empty() { document.to_owned() } else { document.parent().unwrap().join(file) };
    if !target.exists() {
        return Err("leads nowhere".to_owned());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(&target).map_err(|error| error.to_string())?;
    if anchors(&text).contains(heading) { Ok(()) } else { Err("names no heading of that file".to_owned()) }
}

/// The document without what stands in code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    });
    let text = outside.collect::<Vec<_>>().join("\n");
    Regex::new(r"`[^`\n]*`")
        .unwrap()
        .replace_all(&text, |code: &regex::Captures<'_>| code[0].replace(['[', ']'], " "))
        .into_owned()
}

/// Headings as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn a_broken_link_is_seen() {
    let readme = root().join("README.md");
    assert!(follow(&readme, "docs/jobs.md").is_ok());
    assert!(follow(&readme, "docs/none.md").is_err());
    assert!(follow(&readme, "#on-a-cluster").is_ok());
    assert!(follow(&readme, "#nowhere").is_err());
    assert_eq!(prose("a\n```sh\n[x](y)\n```\nb `[x](y)`"), "a\nb ` x (y)`");
}
