//! Amounts of resources as plain integers, for the filter's inner loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use rules::resources::ResourceList;

/// Amounts by resource (upstream `framework.Resource`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Thousandths of a core.
    pub(crate) milli_cpu: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes.
    pub(crate) ephemeral_storage: i64,
    /// Pods a node admits; 0 in requests.
    pub(crate) pods: i64,
    /// Extended resources, huge pages and the like, in units or bytes.
    pub(crate) scalar: BTreeMap<Arc<str>, i64>,
}

impl Resources {
    pub(crate) fn from_list(list: &ResourceList) -> Self {
        let mut resources = Self::default();
        for (name, quantity) in list {
            match name.as_str() {
                "cpu" => resources.milli_cpu = quantity.milli_value(),
                "memory" => resources.memory = quantity.value(),
                "ephemeral-storage" => resources.ephemeral_storage = quantity.value(),
                "pods" => resources.pods = quantity.value(),
                other => {
                    resources.scalar.insert(other.into(), quantity.value());
                }
            }
        }
        resources
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.apply(other, 1);
    }

    pub(crate) fn sub(&mut self, other: &Self) {
        self.apply(other, -1);
    }

    fn apply(&mut self, other: &Self, sign: i64) {
        self.milli_cpu += sign * other.milli_cpu;
        self.memory += sign * other.memory;
        self.ephemeral_storage += sign * other.ephemeral_storage;
        for (name, amount) in &other.scalar {
            *self.scalar.entry(Arc::clone(name)).or_default() += sign * amount;
        }
    }

    /// The amount of a resource by its API name; pods are not an amount here.
    pub(crate) fn get(&self, name: &str) -> i64 {
        match name {
            "cpu" => self.milli_cpu,
            "memory" => self.memory,
            "ephemeral-storage" => self.ephemeral_storage,
            other => self.scalar.get(other).copied().unwrap_or(0),
        }
    }
}
