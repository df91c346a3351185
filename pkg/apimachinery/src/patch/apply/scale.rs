//! Owners of `replicas` between a workload and its `scale` subresource
//! (apimachinery `util/managedfields/scalehandler.go`).

use serde_json::Value;

use super::element::Element;
use super::managed::{Entry, Fields, Managed, Owner};
use super::set::Set;

const SCALE_VERSION: &str = "autoscaling/v1";

/// Where a workload has its replicas.
#[derive(Clone, Debug)]
pub struct ScaleHandler<'a> {
    /// The workload's versions with the path in each.
    pub mappings: &'a [(&'a str, &'a [&'a str])],
    /// The version of the request.
    pub api_version: &'a str,
}

impl ScaleHandler<'_> {
    fn path(&self, api_version: &str) -> Option<Vec<Element>> {
        let found = self.mappings.iter().find(|(version, _)| *version == api_version)?;
        Some(found.1.iter().map(|name| Element::field(name)).collect())
    }

    /// The workload's owners of replicas, as owners of the Scale.
    ///
    /// # Errors
    /// When the workload's entries are malformed.
    pub fn to_scale(&self, parent: Option<&Value>) -> Result<Option<Value>, String> {
        let parent = Managed::decode(parent)?;
        let entries = parent.entries.into_iter().filter_map(|entry| {
            let path = self.path(&entry.api_version)?;
            entry.fields.set().has(&path).then(|| Entry {
                api_version: SCALE_VERSION.to_owned(),
                fields: Set::of_fields(&[&["spec", "replicas"]]).into(),
                ..entry
            })
        });
        Ok(Managed {
            entries: entries.collect(),
        }
        .encode())
    }

    /// The workload's owners after a write of the Scale.
    ///
    /// # Errors
    /// When entries of either are malformed.
    pub fn to_parent(&self, parent: Option<&Value>, scale: Option<&Value>) -> Result<Option<Value>, String> {
        let parent = Managed::decode(parent)?;
        let mut scale = Managed::decode(scale)?;
        let times: Vec<(Owner, Option<String>)> = parent
            .entries
            .iter()
            .map(|entry| (entry.owner.clone(), entry.time.clone()))
            .collect();
        let mut out = Managed::default();
        for entry in parent.entries {
            let Some(path) = self.path(&entry.api_version) else {
                continue;
            };
            let kept = |owner| scale.entries.iter().position(|other: &Entry| other.owner == owner);
            if !entry.fields.set().has(&path) {
                out.put(entry);
            } else if let Some(at) = kept(entry.owner.clone()) {
                scale.entries.remove(at);
                out.put(entry);
            } else {
                let mut gone = Set::default();
                gone.insert(&path);
                let fields = Fields::from(entry.fields.into_set().difference(&gone));
                if !fields.is_empty() {
                    out.put(Entry { fields, ..entry });
                }
            }
        }
        let own = self.path(self.api_version);
        let replicas = [Element::field("spec"), Element::field("replicas")];
        for entry in scale
            .entries
            .into_iter()
            .filter(|entry| entry.fields.set().has(&replicas))
        {
            let mut fields = Set::default();
            fields.insert(own.as_deref().unwrap_or_default());
            // As in upstream the times of the Scale's new owners are those the workload knows, mostly none.
            let known = times.iter().find(|(owner, _)| *owner == entry.owner);
            out.put(Entry {
                api_version: self.api_version.to_owned(),
                time: known.and_then(|(_, time)| time.clone()),
                fields: fields.into(),
                ..entry
            });
        }
        Ok(out.encode())
    }
}
