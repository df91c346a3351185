//! Indexes of an Indexed job as text: `1,3-5`.

/// Counts the indexes (`validateIndexesFormat`).
///
/// # Errors
/// What is wrong with the text, in upstream's words.
pub(super) fn count(text: &str, completions: i32) -> Result<i32, String> {
    let (mut last, mut total) = (None, 0);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// `parseIndexInterval`.
fn interval(part: &str, completions: i32) -> Result<(i32, i32), String> {
    let ends: Vec<&str> = part.split('-').collect();
    if ends.len() > 2 {
        return Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        ));
    }
    let index = |text: &str| {
        let index: i64 = text
            .parse()
            .map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        i32::try_from(index)
            .ok()
            .filter(|i| *i < completions)
            .ok_or_else(|| format!("too large index: {text:?}"))
    };
    let first = index(ends[0])?;
    let Some(end) = ends.get(1) else {
        return Ok((first, first));
    };
    let end = index(end)?;
    if first >= end {
        return Err(format!("non-increasing order, previous: {first}, current: {end}"));
    }
    Ok((first, end))
}

/// The first index in both lists (`validateFailedIndexesNotOverlapCompleted`); malformed parts are skipped.
pub(super) fn overlap(completed: &str, failed: &str, completions: i32) -> Option<i32> {
    let parse = |text: &str| -> Vec<(i32, i32)> {
        let parts = text.split(',').filter(|_| !text.is_empty());
        parts.filter_map(|p| interval(p, completions).ok()).collect()
    };
    let (completed, failed) = (parse(completed), parse(failed));
    let (mut c, mut f) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((c_first, c_end)), Some((f_first, f_end))) = (c.peek(), f.peek()) {
        if c_first <= f_end && f_first <= c_end {
            return Some(*c_first.max(f_first));
        }
        if c_first <= f_first {
            c.next();
        } else {
            f.next();
        }
    }
    None
}
