//! Texts for `Warning` headers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::check::text;

/// About names that configuration from files has to itself (`WarningsForStaticSuffix`).
pub fn static_suffix(metadata: &ObjectMeta) -> Vec<String> {
    const SUFFIX: &str = ".static.k8s.io";
    if !text(&metadata.name).ends_with(SUFFIX) {
        return vec![];
    }
    vec![format!(
        "metadata.name: names ending with {SUFFIX:?} are reserved for static manifest-based configurations and cannot be managed via the API"
    )]
}
