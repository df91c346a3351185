//! What upstream's comments say about types and fields. The text is collected when this crate is built
//! (`build.rs`) and is read where it lies: nothing of it is kept in memory.

/// Lines `key<TAB>text`, sorted by key; see `build.rs`.
pub(in crate::endpoints) const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/descriptions.tsv"));

/// What a type of the schema table is for: `core.v1.Pod`.
pub(in crate::endpoints) fn of_type(name: &str) -> Option<String> {
    find(name)
}

/// What a field is for.
pub(in crate::endpoints) fn of_field(type_name: &str, field: &str) -> Option<String> {
    let normal: String = field
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '$'))
        .flat_map(char::to_lowercase)
        .collect();
    find(&format!("{type_name}.{normal}")).or_else(|| match field {
        "apiVersion" | "kind" => find(&format!("meta.v1.TypeMeta.{normal}")),
        _ => None,
    })
}

fn find(key: &str) -> Option<String> {
    let bytes = TEXT.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        // The line around the middle.
        let middle = low + (high - low) / 2;
        let start = bytes[low..middle]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(low, |i| low + i + 1);
        let end = bytes[middle..high]
            .iter()
            .position(|b| *b == b'\n')
            .map_or(high, |i| middle + i);
        let (found, text) = TEXT[start..end].split_once('\t')?;
        match found.cmp(key) {
            std::cmp::Ordering::Equal => return Some(unescape(text)),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        out.push(if after.starts_with('n') { '\n' } else { '\\' });
        rest = &after[1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found() {
        assert!(TEXT.len() > 100_000, "the build script found no sources");
        let mut before = "";
        for line in TEXT.lines() {
            let (key, text) = line.split_once('\t').expect("a line has two columns");
            assert!(before < key, "{before} {key}");
            before = key;
            assert_eq!(find(key), Some(unescape(text)), "{key}");
        }
        assert_eq!(find("core.v1.Nope"), None);
        assert_eq!(find(""), None);
        assert_eq!(find("~"), None);
    }

    #[test]
    fn breaks_and_backslashes_are_as_in_the_source() {
        assert_eq!(unescape(r"a\n\nb\\n"), "a\n\nb\\n");
    }
}
