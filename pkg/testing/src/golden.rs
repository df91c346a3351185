//! Comparison with files under version control; `UPDATE_GOLDEN=1` rewrites them, and the diff is
//! reviewed like any other.

use std::path::Path;

/// Fails unless `actual` equals the file's content.
///
/// # Panics
/// When they differ, or the file cannot be read or written.
pub fn assert_golden(file: impl AsRef<Path>, actual: &str) {
    let file = file.as_ref();
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("the golden folder can be made");
        }
        std::fs::write(file, actual).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected != actual {
        let line = expected
            .lines()
            .zip(actual.lines())
            .position(|(e, a)| e != a)
            .unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
        panic!(
            "{} differs from line {}: expected {:?}, got {:?} (UPDATE_GOLDEN=1 accepts)",
            file.display(),
            line + 1,
            expected.lines().nth(line).unwrap_or(""),
            actual.lines().nth(line).unwrap_or("")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "differs from line 2")]
    fn the_first_line_that_differs_is_named() {
        let file = std::env::temp_dir().join(format!("golden-{}", std::process::id()));
        std::fs::write(&file, "a\nb\n").expect("writes");
        assert_golden(&file, "a\nc\n");
    }
}
