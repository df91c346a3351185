//! Texts for `Warning` headers.

use apimachinery::field::quote;
use k8s_openapi::api::resource::v1::ResourceSlice;

/// Of a ResourceSlice (`resourceSliceStrategy`).
pub fn resource_slice(slice: &ResourceSlice) -> Vec<String> {
    let driver = &slice.spec.driver;
    if *driver == driver.to_lowercase() {
        return vec![];
    }
    vec![format!(
        "spec.driver: driver names should be lowercase; {} contains uppercase characters",
        quote(driver)
    )]
}
