//! Descriptions in the comments of k8s-pb, which are upstream's with the changes prost makes for rustdoc.

use std::fs;
use std::path::Path;

use super::{Descriptions, normal, prefix, rust_files};

pub(crate) fn read(folder: &Path, all: &mut Descriptions) {
    for path in rust_files(folder) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let module = path.parent().and_then(|p| p.strip_prefix(folder).ok());
        let module: Vec<&str> = module
            .into_iter()
            .flat_map(|m| m.iter())
            .filter_map(|p| p.to_str())
            .collect();
        let prefix = prefix(&module);
        let mut comment: Vec<&str> = Vec::new();
        let mut open = String::new();
        for line in text.lines() {
            let code = line.trim_start();
            if let Some(words) = code.strip_prefix("///") {
                comment.push(words.strip_prefix(' ').unwrap_or(words));
            } else if let Some(rest) = code.strip_prefix("pub struct ") {
                let name = rest.split([' ', '<', '(']).next().unwrap_or_default();
                open = format!("{prefix}.{name}");
                insert(all, open.clone(), &mut comment);
            } else if let Some((name, _)) = code.strip_prefix("pub ").and_then(|r| r.split_once(':')) {
                insert(all, format!("{open}.{}", normal(name)), &mut comment);
            } else if !code.starts_with("#[") {
                comment.clear();
            }
        }
    }
}

fn insert(all: &mut Descriptions, key: String, comment: &mut Vec<&str>) {
    let text = prose(comment);
    comment.clear();
    if !text.is_empty() {
        all.insert(key, text);
    }
}

/// Paragraphs of a comment as upstream's generator joins them (kube-openapi `pkg/generators/openapi.go`,
/// `generateDescription`): indented lines stay lines, markers and lone TODOs go.
fn prose(comment: &[&str]) -> String {
    let mut out = String::new();
    for line in comment {
        let line = plain(line);
        let words = line.trim_start();
        if line == "---" {
            break;
        }
        if words.is_empty() {
            out.pop();
            out.push_str("\n\n");
        } else if words.starts_with("TODO") || words.starts_with('+') {
            // Not for readers.
        } else if line.starts_with([' ', '\t']) {
            out.pop();
            out.push_str(&format!("\n{line}\n"));
        } else {
            out.push_str(&line);
            out.push(' ');
        }
    }
    out.trim().to_owned()
}

/// Without what prost adds: `<https://..>`, escaped brackets, one more space in front of indented lines.
fn plain(line: &str) -> String {
    let mut out = line.trim_end().replace("\\[", "[").replace("\\]", "]");
    for scheme in ["<https://", "<http://"] {
        while let Some(start) = out.find(scheme) {
            if let Some(end) = out[start..].find('>') {
                out.remove(start + end);
            }
            out.remove(start);
        }
    }
    if out.starts_with("  ") {
        out.remove(0);
    }
    out
}
