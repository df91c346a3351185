//! The hand-written overlay, merged into the generated table.
//!
//! It has the table's syntax with three additions: a tag path or kind of `=` stands for what was generated, `drop`
//! as tag path removes a field, and `-req` says that a field is not required after all. A line that says nothing new
//! is an error, so that the overlay shrinks when the crates catch up.

use anyhow::{Context, Result, bail};

use super::table::{FieldFacts, Table, TypeFacts};

/// Merges the overlay.
pub(super) fn apply(table: &mut Table, text: &str) -> Result<()> {
    let mut open: Option<(String, bool)> = None;
    for (number, line) in text.lines().enumerate() {
        let (line, number) = (line.split(" #").next().unwrap_or_default().trim_end(), number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("schema-overlay.txt line {number}");
        if line.starts_with([' ', '\t']) {
            let (name, new) = open
                .as_ref()
                .with_context(|| format!("{}: a field before any type", place()))?;
            let facts = table
                .types
                .get_mut(name)
                .context("the type was entered when it was opened")?;
            field(facts, *new, line).with_context(|| format!("{}: {name}", place()))?;
        } else {
            let mut words = line.split_ascii_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let new = !table.types.contains_key(&name);
            let facts = table.types.entry(name.clone()).or_default();
            for word in words {
                let flag = match word {
                    "atomic" => &mut facts.atomic,
                    "typemeta" => &mut facts.type_meta,
                    _ => bail!("{}: unknown word {word:?}", place()),
                };
                if std::mem::replace(flag, true) {
                    bail!("{}: {name} is {word} already", place());
                }
            }
            open = Some((name, new));
        }
    }
    Ok(())
}

fn field(facts: &mut TypeFacts, new_type: bool, line: &str) -> Result<()> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let tags = words.next().context("a tag path is missing")?;
    if tags == "drop" {
        facts
            .fields
            .remove(name)
            .with_context(|| format!("there is no field {name} to drop"))?;
        return Ok(());
    }
    let kind = words.next().context("a kind is missing")?;
    let before = facts.fields.get(name).cloned();
    let mut after = match (&before, new_type) {
        (Some(known), _) => known.clone(),
        (None, true) => FieldFacts::default(),
        (None, false) if tags != "=" && kind != "=" => FieldFacts::default(),
        (None, false) => bail!("there is no field {name}"),
    };
    if tags != "=" {
        after.tags = tags.to_owned();
    }
    if kind != "=" {
        after.kind = kind.to_owned();
    }
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let value = Some(value.to_owned());
        match key {
            "req" => after.required = true,
            "-req" => after.required = false,
            "ptr" => after.pointer = true,
            "always" => after.always = true,
            "set" | "map" => after.list_type = Some(word.to_owned()),
            "mapType" => after.map_type = value,
            "patch" => after.patch = value,
            "default" => after.default = value,
            "enum" => after.allowed = value,
            _ => bail!("unknown word {word:?}"),
        }
    }
    if before.as_ref() == Some(&after) {
        bail!("{name} says nothing that is not generated: remove the line");
    }
    facts.fields.insert(name.to_owned(), after);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        apply(
            &mut table,
            "core.v1.Pod typemeta\n\tspec 2 &core.v1.PodSpec\ncore.v1.PodSpec\n\tnodeName 10 str\n",
        )
        .unwrap_or_default();
        table
    }

    #[test]
    fn lines_add_and_change_facts() -> Result<()> {
        let mut table = table();
        apply(
            &mut table,
            "core.v1.PodSpec atomic\n\tnodeName = = ptr enum=a|b # why\n\textra 11 []str set req\n",
        )?;
        let expected = "core.v1.Pod typemeta\n\tspec 2 &core.v1.PodSpec\ncore.v1.PodSpec atomic\n\textra 11 []str req set\n\tnodeName 10 str ptr enum=a|b\n";
        assert_eq!(table.render(), expected);
        apply(&mut table, "core.v1.PodSpec\n\textra drop\n")?;
        assert!(!table.render().contains("extra"));
        Ok(())
    }

    #[test]
    fn lines_that_say_nothing_new_or_miss_their_target_are_errors() {
        for text in [
            "core.v1.PodSpec\n\tnodeName 10 =\n",
            "core.v1.PodSpec\n\tnope = = ptr\n",
            "core.v1.PodSpec\n\tnope drop\n",
            "core.v1.Pod typemeta\n",
            "core.v1.PodSpec\n\tnodeName = = huh\n",
            "\tnodeName = = ptr\n",
        ] {
            assert!(apply(&mut table(), text).is_err(), "{text:?}");
        }
    }
}
